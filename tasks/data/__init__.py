"""Data sets as tensors of grey or binary values, and the one table of their names."""

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.data import binarized_mnist, digits, mnist, omniglot
from raysweep.tasks.data.base import Data as Data
from raysweep.tasks.data.base import Source
from raysweep.tasks.data.base import folder as folder

Binarisation = Literal["none", "threshold", "static", "dynamic"]

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        digits.DIGITS,
        mnist.MNIST,
        mnist.FASHION_MNIST,
        binarized_mnist.BINARIZED_MNIST,
        omniglot.OMNIGLOT,
        omniglot.OMNIGLOT_BURDA,
    )
}


def names() -> list[str]:
    """Return every data set's name."""
    return list(SOURCES)


def get(name: str) -> Source:
    """Return the source of a data set.

    Raises:
        ValueError: If there is no such data set.
    """
    if name not in SOURCES:
        nearest = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"data set must be one of {', '.join(SOURCES)}, got {name}{hint}")
    return SOURCES[name]


def fetch(name: str, root: Path | None = None) -> None:
    """Download the data set, with a progress bar, unless its files are there.

    Args:
        name: Name of the data set, one of `names()`.
        root: Data folder; `folder()` if None.

    Raises:
        ValueError: If there is no such data set.
        FileNotFoundError: If its files are missing and cannot be downloaded.
    """
    get(name).fetch(root or folder())


def load(
    name: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    binarisation: Binarisation = "none",
    validation: int = 0,
) -> Data:
    """Load the data set, once per process, device, format, binarisation and split.

    Args:
        name: Name of the data set, one of `names()`.
        device: Device of the tensors.
        dtype: Floating point format of the values.
        binarisation: Conversion to binary values. `none`: grey values. `threshold`: 1 where the
            grey value is above a half. `static`: every value drawn once, with its grey value as
            the probability of a 1; the same on every device, for every seed, format and split.
            `dynamic`: as `static`, but training images stay grey, to draw batches from.
        validation: Number of validation images: the first of the data set's own, or else the
            last training images, which are then left out of training.

    Raises:
        ValueError: If there is no such data set.
        FileNotFoundError: If its files are missing and cannot be downloaded.
    """
    return _load(get(name), folder(), torch.device(device), dtype, binarisation, validation)


@functools.lru_cache(maxsize=8)
def _load(
    source: Source,
    root: Path,
    device: torch.device,
    dtype: torch.dtype,
    binarisation: Binarisation,
    validation: int,
) -> Data:
    parts = dict(
        zip(
            ("train", "valid", "test") if source.valid else ("train", "test"),
            source.read(root),
            strict=True,
        )
    )
    kept = source.train - (0 if source.valid else validation)

    def values(part: str, rows: slice, draw: bool) -> Tensor:
        stored = parts[part]
        if draw:
            grey = stored.float() / source.white
            return _drawn(grey, f"binarise {source.name} {part}")[rows].to(device, dtype)
        grey = stored[rows].to(device, dtype) / source.white
        return (grey > 0.5).to(dtype) if binarisation == "threshold" else grey

    drawn = binarisation in ("static", "dynamic")
    return Data(
        train=values("train", slice(kept), binarisation == "static"),
        valid=values("valid", slice(validation), drawn)
        if source.valid
        else values("train", slice(kept, None), drawn and validation > 0),
        test=values("test", slice(None), drawn),
    )


def _drawn(grey: Float[Tensor, "N D"], purpose: str) -> Bool[Tensor, "N D"]:
    """Draw ones with the grey values as probabilities, always the same, on the CPU."""
    noise = Noise(seed=0, purpose=purpose)
    return torch.cat([noise.uniform(*rows.shape) < rows for rows in grey.split(10_000)])

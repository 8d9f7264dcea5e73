"""Data sets as tensors of values and labels, and the one table of their names."""

import difflib
import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks import plugins
from raysweep.tasks.data import (
    binarized_mnist,
    cifar,
    cifar10,
    digits,
    imagenet16,
    mnist,
    npz,
    omniglot,
    points,
)
from raysweep.tasks.data.base import Data as Data
from raysweep.tasks.data.base import Labels as Labels
from raysweep.tasks.data.base import Source as Source
from raysweep.tasks.data.base import folder as folder
from raysweep.tasks.data.lock import locked

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
        cifar10.CIFAR10,
        cifar10.CIFAR10_SUBSET,
        cifar10.CIFAR10_JPEG,
        cifar.CIFAR100,
        imagenet16.IMAGENET16,
        points.POINTS,
    )
}

GROUP = "raysweep.datasets"
"""Entry points of data sets in other packages."""


def names() -> list[str]:
    """Return every data set's name: those of the table, then those of installed packages."""
    return [*SOURCES, *sorted(set(entries()) - set(SOURCES))]


def grey_names() -> list[str]:
    """Return the names of data sets of grey images; of installed packages, all names."""
    return [name for name in names() if name not in SOURCES or SOURCES[name].is_grey]


def labelled_names() -> list[str]:
    """Return the names of data sets with labels; of installed packages, all names."""
    return [name for name in names() if name not in SOURCES or SOURCES[name].classes]


@functools.cache
def entries() -> dict[str, EntryPoint]:
    """Return the entry points of data sets by name."""
    return {plugin.name: plugin for plugin in entry_points(group=GROUP)}


def get(name: str) -> Source:
    """Return the source of a data set; of the plug-ins, only this one is loaded.

    Args:
        name: Name of the data set, one of `names()`, or what `npz.use` returned.

    Raises:
        ValueError: If there is no such data set, or it cannot be loaded.
    """
    if name in SOURCES:
        return SOURCES[name]
    if name.startswith(npz.PREFIX):
        return npz.source(name)
    if name in entries():
        return _plugin(entries()[name])
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise ValueError(f"dataset must be one of {', '.join(names())}, got {name}{hint}")


@functools.cache
def _plugin(plugin: EntryPoint) -> Source:
    """Return the source that an entry point names, or that its function returns."""
    made = plugins.load(plugin, lambda loaded: loaded() if callable(loaded) else loaded)
    if not isinstance(made, Source):
        raise ValueError(
            f"dataset {plugin.name!r} must be a raysweep.tasks.data.Source, or a function that "
            f"returns one, got {plugin.value}"
        )
    return made


def fetch(name: str, root: Path | None = None) -> None:
    """Download the data set, with a progress bar, unless its files are there.

    Args:
        name: Name of the data set, one of `names()`.
        root: Data folder; `folder()` if None.

    Raises:
        ValueError: If there is no such data set.
        FileNotFoundError: If its files are missing and cannot be downloaded.
    """
    source, root = get(name), root or folder()
    if source.at_hand(root):
        source.fetch(root)  # checks the files
    else:
        _fetch_once(source, root)


def _fetch_once(source: Source, root: Path) -> None:
    """Fetch missing files, unless another process does, for which this one waits."""
    if not source.at_hand(root):
        with locked(root, source.files_of or source.name):
            source.fetch(root)


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
        binarisation: Conversion to binary values. `none`: no conversion. `threshold`: 1 where the
            grey value is above a half. `static`: every value drawn once, with its grey value as
            the probability of a 1; the same on every device, for every seed, format and split.
            `dynamic`: as `static`, but training images stay grey, to draw batches from.
        validation: Number of validation images: the first of the data set's own, or else the
            last training images, which are then left out of training.

    Raises:
        ValueError: If there is no such data set, or it has no grey values to binarise.
        FileNotFoundError: If its files are missing and cannot be downloaded.
    """
    return _load(get(name), folder(), torch.device(device), dtype, binarisation, validation)


def load_labels(name: str, device: torch.device | str = "cpu", validation: int = 0) -> Labels:
    """Load the classes of a data set's examples, once per process, device and split.

    Args:
        name: Name of the data set, one of `labelled_names()`.
        device: Device of the tensors.
        validation: Number of validation examples, which are those of `load`.

    Raises:
        ValueError: If there is no such data set, or it has no labels.
        FileNotFoundError: If its files are missing and cannot be downloaded.
    """
    return _load_labels(get(name), folder(), torch.device(device), validation)


@functools.lru_cache(maxsize=8)
def _load_labels(source: Source, root: Path, device: torch.device, validation: int) -> Labels:
    if source.labels is None:
        raise ValueError(f"expected a data set with labels, got {source.name}")
    _fetch_once(source, root)
    parts = [part.long().to(device) for part in source.labels(root)]
    return Labels(*_split(parts, source, validation))


def _split(parts: Sequence[Tensor], source: Source, validation: int) -> tuple[Tensor, ...]:
    """Return training, validation and test examples, of parts as a source reads them."""
    if source.valid:
        train, valid, test = parts
        return train, valid[:validation], test
    train, test = parts
    kept = source.train - validation
    return train[:kept], train[kept:], test


@functools.lru_cache(maxsize=8)
def _load(
    source: Source,
    root: Path,
    device: torch.device,
    dtype: torch.dtype,
    binarisation: Binarisation,
    validation: int,
) -> Data:
    if source.white is None and binarisation != "none":
        raise ValueError(
            f"binarisation {binarisation} needs grey values, got {source.name}; set it to none"
        )
    white = source.white or 1
    _fetch_once(source, root)
    parts = dict(
        zip(
            ("train", "valid", "test") if source.valid else ("train", "test"),
            source.read(root),
            strict=True,
        )
    )
    kept = source.training_examples(validation)

    def values(part: str, rows: slice, draw: bool) -> Tensor:
        stored = parts[part]
        if draw:
            grey = stored.float() / white
            return _drawn(grey, f"binarise {source.name} {part}")[rows].to(device, dtype)
        grey = stored[rows].to(device, dtype) / white
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

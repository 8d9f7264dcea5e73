"""Data sets as tensors of grey values, and the one table of their names."""

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path

import torch

from tasks.data import binarized_mnist, digits, mnist, omniglot
from tasks.data.base import Data as Data
from tasks.data.base import Source
from tasks.data.base import folder as folder

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
    """Every data set's name."""
    return list(SOURCES)


def get(name: str) -> Source:
    """What is known of a data set before it is read.

    Raises:
        ValueError: If there is no such data set.
    """
    if name not in SOURCES:
        nearest = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"data set must be one of {', '.join(SOURCES)}, got {name}{hint}")
    return SOURCES[name]


def load(name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Data:
    """The data set, read once per process, device and format.

    Args:
        name: One of `names()`.
        device: Where the tensors are wanted.
        dtype: Floating point format of the values.

    Raises:
        ValueError: If there is no such data set.
        FileNotFoundError: If its files are neither at hand nor to be downloaded.
    """
    return _load(get(name), folder(), torch.device(device), dtype)


@functools.lru_cache(maxsize=8)
def _load(source: Source, root: Path, device: torch.device, dtype: torch.dtype) -> Data:
    train, test = source.read(root)
    return Data(train.to(device, dtype) / source.white, test.to(device, dtype) / source.white)

"""8 x 8 handwritten digits included in scikit-learn, without a download."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, Real
from torch import Tensor

from raysweep.tasks.data.base import Source

TRAIN = 1500


def _read(root: Path) -> tuple[Real[Tensor, "N 64"], Real[Tensor, "M 64"]]:
    """Read the first 1,500 images as training set, the last 297 as test set."""
    images = torch.from_numpy(_bundle().data)
    return images[:TRAIN], images[TRAIN:]


def _labels(root: Path) -> tuple[Int[Tensor, " N"], Int[Tensor, " M"]]:
    digits = torch.from_numpy(_bundle().target)
    return digits[:TRAIN], digits[TRAIN:]


def _bundle() -> Any:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a second, for this data set only

    return load_digits()


def _fetch(root: Path) -> None:
    """Do nothing, as scikit-learn includes the images."""


DIGITS = Source(
    "digits",
    train=TRAIN,
    test=297,
    features=64,
    white=16,
    read=_read,
    fetch=_fetch,
    shape=(1, 8, 8),
    classes=10,
    labels=_labels,
)

"""8 x 8 handwritten digits that come with scikit-learn: nothing to download."""

from pathlib import Path

import torch
from jaxtyping import Real
from torch import Tensor

from raysweep.tasks.data.base import Source

TRAIN = 1500


def _read(root: Path) -> tuple[Real[Tensor, "N 64"], Real[Tensor, "M 64"]]:
    """The first 1,500 images to train with, the last 297 to test with."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second, for this data set only

    images = torch.from_numpy(load_digits().data)
    return images[:TRAIN], images[TRAIN:]


def _fetch(root: Path) -> None:
    """Scikit-learn has brought it."""


DIGITS = Source(
    "digits",
    train=TRAIN,
    test=297,
    features=64,
    white=16,
    read=_read,
    fetch=_fetch,
)

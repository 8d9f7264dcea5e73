"""Points of the plane in two overlapping classes, without a download."""

import math
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.tasks.data.base import Source

TRAIN, TEST = 200, 2000
SEED, TEST_SEED = 1, 2
HALF = math.pi / 2


def draw(count: int, seed: int) -> Float[Tensor, "N 2"]:
    """Draw points: the first half of class 1, the second half of class 0.

    Both classes have x in [-pi/2, pi/2]. Class 1 is uniform over y in [0, 1], class 0 over y in
    [-1, 1] below the cosine of x. The published code draws 100 of each with torch's generator at
    seed 1, in this order and in float32, so these are its points as long as that generator's
    uniform numbers are those of 2020, which torch does not promise.

    Args:
        count: Number of points.
        seed: Seed of the generator.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.1, and its public code.
    """
    generator = torch.Generator().manual_seed(seed)
    above = torch.empty(count // 2, 2)
    above[:, 0].uniform_(-HALF, HALF, generator=generator)
    above[:, 1].uniform_(0, 1, generator=generator)
    below: list[Tensor] = []
    while len(below) < count - len(above):
        x = torch.empty(1).uniform_(-HALF, HALF, generator=generator)
        y = torch.empty(1).uniform_(-1, 1, generator=generator)
        if y < x.cos():
            below.append(torch.cat((x, y)))
    return torch.cat((above, torch.stack(below)))


def _read(root: Path) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "M 2"]]:
    """Return the published training points, and fresh ones to test on."""
    return draw(TRAIN, SEED), draw(TEST, TEST_SEED)


def _labels(root: Path) -> tuple[Int[Tensor, " N"], Int[Tensor, " M"]]:
    train, test = ((torch.arange(count) < count // 2).long() for count in (TRAIN, TEST))
    return train, test


def _fetch(root: Path) -> None:
    """Do nothing, as the points are computed."""


POINTS = Source(
    "points",
    train=TRAIN,
    test=TEST,
    features=2,
    white=None,
    read=_read,
    fetch=_fetch,
    classes=2,
    labels=_labels,
)

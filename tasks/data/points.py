"""Points of the plane in two overlapping classes, without a download."""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from raysweep.tasks.data.base import Source

PER_CLASS, TEST_PER_CLASS = 100, 1000
SEED, TEST_SEED = 1, 2


class Points(NamedTuple):
    """Points with the signs of their classes.

    Args:
        x: Coordinates, `N 2`, in float64.
        label: 1 for the first class and -1 for the second, `N`.
    """

    x: Float[Tensor, "N 2"]
    label: Float[Tensor, " N"]


@functools.cache
def points(per_class: int = PER_CLASS, seed: int = SEED) -> Points:
    """Return points of each class, always the same; by default the training points.

    All have their first coordinate uniform in (-pi/2, pi/2). The second is uniform in (0, 1) in
    class 1; in class 2 it is uniform in (-1, 1), kept where it is below the cosine of the first.

    Args:
        per_class: Number of points of each class.
        seed: Seed of NumPy's generator.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.1, and their public code,
        whose random numbers are others.
    """
    raw = np.random.Generator(np.random.Philox(key=seed))
    first = np.stack((_across(raw, per_class), raw.random(per_class)), 1)
    second = np.stack((_across(raw, 8 * per_class), 2 * raw.random(8 * per_class) - 1), 1)
    second = second[second[:, 1] < np.cos(second[:, 0])][:per_class]
    label = np.repeat([1.0, -1.0], per_class)
    return Points(torch.from_numpy(np.concatenate((first, second))), torch.from_numpy(label))


def _across(raw: np.random.Generator, count: int) -> np.ndarray:
    return (raw.random(count) - 0.5) * math.pi


def _parts() -> tuple[Points, Points]:
    """Return the training points, and fresh ones to test on."""
    return points(), points(TEST_PER_CLASS, TEST_SEED)


def _read(root: Path) -> tuple[Float[Tensor, "N 2"], ...]:
    return tuple(part.x for part in _parts())


def _labels(root: Path) -> tuple[Int[Tensor, " N"], ...]:
    return tuple((part.label > 0).long() for part in _parts())


def _fetch(root: Path) -> None:
    """Do nothing, as the points are computed."""


POINTS = Source(
    "points",
    train=2 * PER_CLASS,
    test=2 * TEST_PER_CLASS,
    features=2,
    white=None,
    read=_read,
    fetch=_fetch,
    classes=2,
    labels=_labels,
)

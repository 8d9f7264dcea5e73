"""Points of two overlapping classes in the plane."""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

PER_CLASS = 100
SEED = 1


class Points(NamedTuple):
    """Points with the signs of their classes.

    Args:
        x: Coordinates, `N 2`, in float64.
        label: 1 for the first class and -1 for the second, `N`.
    """

    x: Float[Tensor, "N 2"]
    label: Float[Tensor, " N"]


@functools.cache
def points() -> Points:
    """Return 100 points of each class, always the same.

    All have their first coordinate uniform in (-pi/2, pi/2). The second is uniform in (0, 1) in
    class 1; in class 2 it is uniform in (-1, 1), kept where it is below the cosine of the first.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.1, and their public code,
        whose random numbers are others.
    """
    raw = np.random.Generator(np.random.Philox(key=SEED))
    first = np.stack((_across(raw, PER_CLASS), raw.random(PER_CLASS)), 1)
    second = np.stack((_across(raw, 8 * PER_CLASS), 2 * raw.random(8 * PER_CLASS) - 1), 1)
    second = second[second[:, 1] < np.cos(second[:, 0])][:PER_CLASS]
    label = np.repeat([1.0, -1.0], PER_CLASS)
    return Points(torch.from_numpy(np.concatenate((first, second))), torch.from_numpy(label))


def _across(raw: np.random.Generator, count: int) -> np.ndarray:
    return (raw.random(count) - 0.5) * math.pi

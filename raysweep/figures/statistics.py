"""Statistics over seeds: means, bands and intervals."""

from collections.abc import Mapping

import numpy as np
from scipy.special import stdtrit

from raysweep.errors import SpecError, one_of
from raysweep.figures.scope import Numbers

LEVEL = 0.95
BANDS: Mapping[str, str] = {
    "sem": "band ± 1 standard error",
    "std": "band ± 1 standard deviation",
    "ci": f"band: {LEVEL:.0%} interval of the mean (Student's t)".replace("%", " %"),
}


def interval(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the 95 % confidence interval of the mean, by Student's t.

    Args:
        values: Values, `R *`, one row per seed; NaN where a seed has none.

    Returns:
        Low and high ends, `*`; NaN where fewer than two seeds have a value.
    """
    count = np.isfinite(values).sum(axis=0)
    mean, deviation = _moments(values)
    known = count > 1
    student = stdtrit(np.where(known, count - 1, 1), 0.5 + LEVEL / 2)
    half = np.where(known, student * deviation / np.sqrt(np.maximum(count, 1)), np.nan)
    return mean - half, mean + half


def over_seeds(values: Numbers, band: str) -> tuple[Numbers, Numbers, Numbers, int]:
    """Return the mean, the low and high end of the band, `T` each, and the number of seeds.

    Args:
        values: Values, `R T`, with NaN in gaps; at every step, at least one seed has a value.
        band: Name of the band: `sem`, `std` or `ci`; its height is 0 where one seed has a value.
    """
    count = np.isfinite(values).sum(axis=0)
    mean, deviation = _moments(values)
    if band == "ci":
        low, high = interval(values)
        low, high = np.where(count > 1, low, mean), np.where(count > 1, high, mean)
    else:
        half = deviation / np.sqrt(count) if band == "sem" else deviation
        low, high = mean - half, mean + half
    return mean, low, high, int(count.max())


def check_band(name: str) -> str:
    """Return the name of a band if there is such a band.

    Raises:
        SpecError: If there is no band with this name.
    """
    if name not in BANDS:
        raise SpecError(one_of(name, BANDS), field="band")
    return name


def _moments(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the mean and sample standard deviation over the seeds with a value; 0 for one."""
    count = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / count
    squares = np.nansum((values - mean) ** 2, axis=0)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1))

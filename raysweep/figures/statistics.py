"""Statistics over seeds: means, bands and intervals."""

from collections.abc import Mapping

import numpy as np

from raysweep.errors import SpecError, one_of
from raysweep.figures.scope import Numbers
from raysweep.results.stats.intervals import FEWEST_FOR_MEAN, OF_MEAN, mean_interval

INTERVAL = f"{OF_MEAN}, from five seeds"
BANDS: Mapping[str, str] = {
    "sem": "band ± 1 standard error",
    "std": "band ± 1 standard deviation",
    "ci": f"band: {INTERVAL}",
}


def interval(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the 95 % confidence interval of the mean, which tables show, too.

    Args:
        values: Values, `R *`, one row per seed; NaN where a seed has none.

    Returns:
        Low and high ends, `*`; NaN where fewer than five seeds have a value.
    """
    columns = values.reshape(len(values), -1).T
    ends = np.array([_ends(column[np.isfinite(column)]) for column in columns]).reshape(-1, 2)
    low, high = (end.reshape(values.shape[1:]) for end in ends.T)
    return low, high


def _ends(values: Numbers) -> tuple[float, float]:
    known = mean_interval(values.tolist()) if len(values) >= FEWEST_FOR_MEAN else None
    return (np.nan, np.nan) if known is None else (known.low, known.high)


def over_seeds(values: Numbers, band: str) -> tuple[Numbers, Numbers, Numbers, int]:
    """Return the mean, the low and high end of the band, `T` each, and the number of seeds.

    Args:
        values: Values, `R T`, with NaN in gaps; at every step, at least one seed has a value.
        band: Name of the band: `sem`, `std` or `ci`; its height is 0 where too few seeds have a
            value: one, or under `ci` four or fewer.
    """
    count = np.isfinite(values).sum(axis=0)
    mean, deviation = _moments(values)
    if band == "ci":
        low, high = interval(values)
        low, high = (np.where(np.isfinite(end), end, mean) for end in (low, high))
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

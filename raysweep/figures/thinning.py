"""Selection of some of many points, lines or configurations, for which a figure has room."""

import numpy as np
from numpy.typing import NDArray


def evenly(length: int, most: int) -> NDArray[np.int64]:
    """Return at most so many positions, evenly spaced from the first to the last."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))

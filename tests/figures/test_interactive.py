"""Interactive figures: numbers as their JSON holds them."""

import numpy as np

from raysweep.figures.plotly_backend import common


def test_numbers_are_short_and_finite():
    given = np.array([1.0, 0.123456789012, np.nan, np.inf, 1e300])
    assert common.numbers(given) == [1, 0.12345679, None, None, 1e300]

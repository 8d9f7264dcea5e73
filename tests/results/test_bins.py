"""Bins of a setting's values."""

import pytest

from raysweep.results import bins
from raysweep.sweep.space import Range


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        (1.0, 1.5, "1–1.06", "1.44–1.5"),  # two digits would give 1.1–1.1
        (0.0, 8.0, "0–1", "7–8"),
    ],
)
def test_intervals_have_as_many_digits_as_tell_their_ends_apart(low, high, first, last):
    labels = [column.label for column in bins._intervals([Range(low, high)], [])]
    assert (labels[0], labels[-1]) == (first, last)
    assert len(set(labels)) == bins.INTERVALS

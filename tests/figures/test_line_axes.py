"""Axes of charts of lines."""

import pytest
from chart_helpers import texts
from figure_helpers import spec_of, store_of


@pytest.mark.parametrize(("last", "ticks"), [(1000, {"200", "1,000"}), (20_000, {"5k", "20k"})])
def test_ticks_of_steps_have_their_numbers_alone(last, ticks, tmp_path):
    steps = range(0, last + 1, last // 10)
    shown = set(texts(store_of(tmp_path, spec_of(), steps=steps).plot(tasks="A")))
    assert ticks <= shown
    assert not {"0k", "0.2k"} & shown


def test_a_logarithmic_axis_ends_where_the_lines_do(tmp_path):
    curve = lambda final, step, last: {"train_loss": 100.0 + step}  # noqa: E731
    shown = texts(store_of(tmp_path, spec_of(), curve=curve).plot(tasks="A", log=True))
    assert not {"100", "1000", "1,000"} & set(shown)

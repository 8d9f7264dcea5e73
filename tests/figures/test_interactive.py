"""Interactive figures: numbers as their JSON holds them."""

import numpy as np
from figure_helpers import spec_of, store_of

from raysweep.figures.plotly_backend import common
from raysweep.figures.plotly_backend.seeds import seeds_figure
from raysweep.results.snapshot import Snapshot


def test_a_figure_that_is_left_out_gives_the_reason_without_the_argument(tmp_path):
    snapshot = Snapshot(store_of(tmp_path, spec_of()))
    missing = seeds_figure(snapshot, "train_loss", ["lost"]).missing
    assert "lost" in missing
    assert not missing.startswith("metric:")


def test_numbers_are_short_and_finite():
    given = np.array([1.0, 0.123456789012, np.nan, np.inf, 1e300])
    assert common.numbers(given) == [1, 0.12345679, None, None, 1e300]


def test_the_report_names_the_interval_of_a_mean_if_it_has_one(tmp_path):
    captions = []
    for number in (4, 5):
        results = store_of(tmp_path / str(number), spec_of(seeds=number))
        snapshot = Snapshot(results)
        captions.append(seeds_figure(snapshot, "train_loss", ["train_loss"]).caption)
    assert "95 % studentised bootstrap interval, from five seeds" in captions[1]
    assert "interval" not in captions[0]

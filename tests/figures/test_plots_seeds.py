"""Seeds, time and bands: the numbers over seeds, and how far they can be trusted."""

import numpy as np
import pytest
from chart_helpers import caption, data, panels, texts
from figure_helpers import ESTIMATORS, STEPS, TASKS, loss, only_begun, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import curves, seeds
from raysweep.figures.layout import describe
from raysweep.figures.seed_charts import seeds_drawing
from raysweep.figures.statistics import interval
from raysweep.results.stats.intervals import mean_interval
from raysweep.results.table import Column

ONE = {"A": TASKS["A"]}
RF = {"RF": ESTIMATORS["RF"]}


def seeds_of(results, **options):
    return seeds.prepare(results, seeds.SeedsRequest(**options))


def row_of(what, estimator, task="A"):
    (panel,) = (panel for panel in what.panels if panel.task == task)
    (row,) = (row for row in panel.rows if row.estimator == estimator)
    return row


def means_of(figure):
    """The records of means, which the dots' lack."""
    return [record for record in data(figure) if "mean" in record]


def dots_of(figure):
    return [record for record in data(figure) if "value" in record]


def scale_of(figure, task):
    """The scale of the horizontal axis of a panel."""
    return panels(figure)[task]["layer"][0]["encoding"]["x"]["scale"]


def band_of(results, band):
    what = curves.prepare(results, curves.CurvesRequest(band=band))
    return what.panels[0].lines[1]


def timed(factor):
    """A curve whose run takes `factor` seconds for a step and each unit of its loss."""
    return lambda final, step, last: {"train_loss": final, "seconds": factor * step * final}


def test_a_row_has_every_seed_of_the_selected_configuration(hand):
    row = row_of(seeds_of(hand), "ST")
    assert row.seeds.tolist() == [0, 1, 2]
    assert row.values.tolist() == [9.0, 10.0, 11.0]


def test_another_metric_of_the_selected_configuration_may_be_shown(hand):
    what = seeds_of(hand, metric="distance", select="train_loss")
    assert row_of(what, "ST", "B").values.tolist() == [19.0, 20.0, 21.0]
    assert (what.metric, what.unit) == ("distance", "m")


def test_the_interval_is_that_of_the_table(tmp_path):
    results = store_of(tmp_path, spec_of(ONE, RF, seeds=6))
    row = row_of(seeds_of(results), "RF")
    (cell,) = results.table(spread="ci").cells
    entry = results.table(spread="ci").entry("RF", Column("task", cell.task))
    assert (row.low, row.high) == (entry.interval.low, entry.interval.high)
    assert row.low < row.mean < row.high


def test_an_interval_leaves_gaps_out():
    values = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 3.0], [np.nan] * 2, [5.0, 1.0], [7.0, np.nan]])
    low, high = interval(values)
    expected = mean_interval([1.0, 2.0, 4.0, 5.0, 7.0])
    assert (low[0], high[0]) == (expected.low, expected.high)
    assert np.isnan([low[1], high[1]]).all()


def test_four_seeds_have_no_interval_and_the_caption_names_none(tmp_path):
    results = store_of(tmp_path, spec_of(seeds=4))
    row = row_of(seeds_of(results), "RF")
    assert np.isnan([row.low, row.high]).all()
    assert "interval" not in caption(results.plot("seeds"))


def test_the_caption_names_the_interval(tmp_path):
    text = caption(store_of(tmp_path, spec_of(seeds=5)).plot("seeds"))
    assert "at the mean with its 95 % studentised bootstrap interval, from five seeds" in text


def test_an_interval_beyond_the_dots_is_cut_and_said(tmp_path):
    spec = spec_of(ONE, RF, seeds=5)
    far = lambda task, estimator, place, seed: 0.1 if seed == 4 else 0.98 + seed / 1000  # noqa: E731
    results = store_of(tmp_path, spec, far, None)
    row = row_of(seeds_of(results), "RF")
    assert row.low < -100
    figure = results.plot("seeds")
    low, high = scale_of(figure, "A")["domain"]
    assert 0.1 - (0.983 - 0.1) <= low < high < 0.983 + (0.983 - 0.1)
    assert [(mean["left"], mean["right"]) for mean in means_of(figure)] == [(low, None)]
    assert "intervals with an arrow reach beyond the axis" in caption(figure)


def test_an_axis_that_has_all_intervals_is_not_cut(tmp_path):
    (panel,) = seeds_of(store_of(tmp_path, spec_of(ONE, RF, seeds=9))).panels
    assert panel.limits is None


@pytest.mark.parametrize(("count", "boxed"), [(seeds.MANY, False), (seeds.MANY + 1, True)])
def test_many_seeds_have_a_box(count, boxed, tmp_path):
    ended = lambda task, estimator, place, seed: float(seed)  # noqa: E731
    row = row_of(seeds_of(store_of(tmp_path, spec_of(ONE, RF, seeds=count), ended, None)), "RF")
    assert bool(row.box) == boxed
    assert not boxed or row.box == pytest.approx((1.5, 7.5, 15.0, 22.5, 28.5), abs=1e-12)


def test_a_dot_is_drawn_for_every_seed_within_the_band_of_its_row(hand):
    dots = [dot for dot in dots_of(hand.plot("seeds", tasks="A")) if dot["row"] == "ST"]
    assert [(dot["seed"], dot["value"]) for dot in dots] == [(0, 9.0), (1, 10.0), (2, 11.0)]
    assert len({dot["spread"] for dot in dots}) == 3
    assert all(abs(dot["spread"]) <= 0.3 for dot in dots)


def test_the_same_seeds_are_spread_alike(hand):
    assert dots_of(hand.plot("seeds")) == dots_of(hand.plot("seeds"))


def test_a_single_dot_is_in_the_middle_of_its_row(tmp_path):
    figure = store_of(tmp_path, spec_of(ONE, RF, seeds=1)).plot("seeds")
    assert [dot["spread"] for dot in dots_of(figure)] == [0.0]


def test_a_box_has_its_percentiles_and_the_caption_explains_it(tmp_path):
    ended = lambda task, estimator, place, seed: float(seed)  # noqa: E731
    figure = store_of(tmp_path, spec_of(ONE, RF, seeds=31), ended, None).plot("seeds")
    (mean,) = means_of(figure)
    box = [mean[name] for name in ("least", "first", "middle", "third", "most")]
    assert box == [1.5, 7.5, 15.0, 22.5, 28.5]
    assert "boxes: the middle half with the median, whiskers" in caption(figure)


def test_few_seeds_have_neither_a_box_nor_its_explanation(hand):
    figure = hand.plot("seeds")
    assert not any("middle" in mean for mean in means_of(figure))
    assert "boxes" not in caption(figure)


def test_a_provisional_row_is_noted_with_its_seeds_and_explained(tmp_path):
    figure = store_of(tmp_path, spec_of(), only_begun).plot("seeds")
    assert "? n = 2" in texts(figure)
    assert "hollow (?): provisional, n seeds so far" in caption(figure)
    states = {mean["row"]: mean["state"] for mean in means_of(figure) if mean["n"] == 2}
    assert states == {"ST": "provisional"}


def test_a_provisional_mean_is_hollow_and_others_are_filled(hand):
    layers = panels(hand.plot("seeds"))["A"]["layer"]
    drawn = [layer for layer in layers if layer["mark"].get("shape") == "diamond"]
    looks = [(layer["mark"]["style"], layer.get("transform")) for layer in drawn]
    assert looks == [("ink", None), ("paper", [{"filter": "datum.state == 'provisional'"}])]


def test_a_row_without_a_value_says_why(tmp_path):
    ended = lambda *cell: "diverged" if cell[:2] == ("A", "RF") else loss(*cell)  # noqa: E731
    figure = store_of(tmp_path, spec_of(), ended).plot("seeds", tasks="A")
    assert "diverged" in texts(figure)
    assert [dot for dot in dots_of(figure) if dot["row"] == "RF"] == []


def test_the_first_panel_of_a_row_alone_names_the_rows(hand):
    figure = hand.plot("seeds")
    assert texts(figure).count("ST") == texts(figure).count("RF") == 1


def test_a_row_keeps_its_colour_whichever_others_are_shown(hand):
    for options in ({}, {"estimators": "RF"}):
        figure = hand.plot("seeds", **options)
        dots = next(i for i in panels(figure)["A"]["layer"] if "yOffset" in i["encoding"])
        assert dots["encoding"]["color"]["scale"]["domain"].index("RF") == 1


def test_the_numbers_of_seeds_are_a_table(tmp_path):
    results = store_of(tmp_path, spec_of(ONE, None, seeds=5))
    table = seeds_drawing(seeds_of(results)).numbers
    assert table.head == ("row", "task", "mean", "95 % interval", "seeds", "state")
    assert table.rows[1][:3] == ("RF", "A", "12")
    assert table.rows[1][4:] == ("5", "selected")


def test_fresh_seeds_are_those_shown(tmp_path):
    spec = spec_of(ONE, RF, seeds={"search": 2, "report": 3})
    row = row_of(seeds_of(store_of(tmp_path, spec)), "RF")
    assert row.seeds.tolist() == list(spec.report_seeds)
    assert row.values.tolist() == [10.0 + seed for seed in spec.report_seeds]


def test_fresh_seeds_that_have_yet_to_run_are_told(tmp_path):
    spec = spec_of(ONE, RF, seeds={"search": 2, "report": 3})
    ended = lambda *cell: loss(*cell) if cell[3] in spec.seeds else None  # noqa: E731
    with pytest.raises(SpecError, match=r"no run of hand on fresh seeds .*`raysweep run`"):
        store_of(tmp_path, spec, ended).plot("seeds")


def test_a_cell_that_diverged_has_no_mean(tmp_path):
    spec = spec_of(ONE, RF, seeds={"search": 2, "report": 3})
    last = spec.report_seeds[-1]
    ended = lambda *cell: "diverged" if cell[3] == last else loss(*cell)  # noqa: E731
    row = row_of(seeds_of(store_of(tmp_path, spec, ended)), "RF")
    assert (row.status, len(row.values)) == ("diverged", 2)
    assert np.isnan(row.mean)


def test_a_provisional_row_is_told(tmp_path):
    row = row_of(seeds_of(store_of(tmp_path, spec_of(), only_begun)), "ST")
    assert (row.status, len(row.values)) == ("provisional", 2)


def test_seeds_have_one_metric(hand):
    with pytest.raises(SpecError, match=r"metric: .* a figure of seeds, got distance, tr"):
        hand.plot("seeds", metric=["distance", "train_loss"])


def test_the_number_of_seeds_is_told(hand, tmp_path):
    assert "a dot for each of 3 seeds" in caption(hand.plot("seeds"))
    figure = store_of(tmp_path / "other", spec_of(), only_begun).plot("seeds")
    assert [i["note"] for i in data(figure, "A") if "note" in i] == ["? n = 2"]


@pytest.mark.parametrize(
    ("band", "half"),
    [
        ("sem", 1 / np.sqrt(3)),
        ("std", 1.0),
    ],
)
def test_a_band_is_what_its_name_says(band, half, hand):
    line = band_of(hand, band)
    np.testing.assert_allclose(line.band[1] - line.y, [half] * 3, atol=1e-12)
    np.testing.assert_allclose(line.y - line.band[0], [half] * 3, atol=1e-12)


def test_a_band_of_intervals_has_that_of_each_step(tmp_path):
    line = band_of(store_of(tmp_path, spec_of(seeds=5)), "ci")
    expected = mean_interval([-2.0, -1.0, 0.0, 1.0, 2.0])
    np.testing.assert_allclose(line.band[0] - line.y, [expected.low] * 3, atol=1e-12)
    np.testing.assert_allclose(line.band[1] - line.y, [expected.high] * 3, atol=1e-12)


def test_a_line_with_resampled_intervals_has_fewer_points(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "MAX_INTERVALS", 2)
    results = store_of(tmp_path, spec_of(seeds=5))
    assert band_of(results, "ci").x.tolist() == [STEPS[0], STEPS[-1]]
    assert band_of(results, "sem").x.tolist() == list(STEPS)


@pytest.mark.parametrize("band", ["sem", "std", "ci"])
def test_a_band_of_one_seed_has_no_height(band, tmp_path):
    line = band_of(store_of(tmp_path, spec_of(seeds=1)), band)
    assert line.band[0].tolist() == line.band[1].tolist() == line.y.tolist()


@pytest.mark.parametrize(
    ("band", "words"),
    [
        ("sem", "band ± 1 standard error"),
        ("std", "band ± 1 standard deviation"),
        ("ci", "band: 95 % studentised bootstrap interval, from five seeds"),
    ],
)
def test_the_caption_names_the_band(band, words, hand):
    assert words in caption(hand.plot(band=band))


def test_a_band_of_another_name_is_told(hand):
    with pytest.raises(SpecError, match="band: expected sem, std or ci, got 'sd'"):
        hand.plot(band="sd")


def test_time_is_the_mean_over_seeds_of_a_runs_seconds(tmp_path):
    results = store_of(tmp_path, spec_of(), curve=timed(0.5))
    what = curves.prepare_time(results, curves.CurvesRequest())
    np.testing.assert_allclose(what.panels[0].lines[0].x, [50.0, 100.0, 150.0], atol=1e-12)


def test_seconds_are_means_over_the_runs_that_reached_the_step(tmp_path):
    def curve(final, step, last):
        gone = final == 12.0 and step == last
        return {"train_loss": None if gone else final, "seconds": None if gone else step * final}

    results = store_of(tmp_path, spec_of(ONE, RF), curve=curve)
    what = curves.prepare_time(results, curves.CurvesRequest())
    np.testing.assert_allclose(what.panels[0].lines[0].x, [110.0, 220.0, 315.0], atol=1e-12)


def test_curves_that_do_not_tell_their_seconds_are_told(tmp_path):
    results = store_of(tmp_path, spec_of(), curve=lambda *_: {"train_loss": 1.0})
    with pytest.raises(SpecError, match=r"kind: time .* of hand have none; `raysweep plot hand`"):
        results.plot("time")


def test_the_caption_of_time_says_whose_time_it_is(tmp_path):
    figure = store_of(tmp_path, spec_of(), curve=timed(1.0)).plot("time")
    assert "over a run's mean share of its pack's time" in caption(figure)


def test_a_note_does_not_touch_the_dots_of_its_row(tmp_path):
    figure = store_of(tmp_path, spec_of(), only_begun).plot("seeds")
    panel = panels(figure)["A"]
    height = panel["height"] / 2  # of a row
    (note,) = (layer["mark"] for layer in panel["layer"] if layer["mark"].get("style") == "note")
    highest = max(abs(dot["spread"]) for dot in dots_of(figure)) * height + 2
    assert -note["dy"] - 3 > highest


def test_panels_are_below_each_other_where_long_labels_leave_too_little_room(tmp_path):
    label = "a row with a long label of more than a line"
    results = store_of(tmp_path, spec_of(estimators={label: ESTIMATORS["RF"]}))
    assert describe(results.plot("seeds", size="column"))["columns"] == 1


def test_panels_of_short_labels_are_side_by_side_in_a_column(hand):
    assert describe(hand.plot("seeds", size="column"))["columns"] == 2


def test_the_axis_of_a_single_value_has_ticks_beside_it(tmp_path):
    results = store_of(tmp_path, spec_of(ONE, RF, seeds=1), lambda *cell: 1.3)
    shown = texts(results.plot("seeds"))
    assert {"1.20", "1.30", "1.40"} <= set(shown)
    assert "1" not in shown


def test_tips_have_a_dash_where_there_is_no_interval(tmp_path):
    for count, known in ((4, False), (5, True)):
        figure = store_of(tmp_path / str(count), spec_of(ONE, RF, seeds=count)).plot("seeds")
        (mean,) = (record for record in data(figure) if "interval" in record)
        assert (mean["interval"] != "–") is known
        assert mean["median"] == "–"

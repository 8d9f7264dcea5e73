"""The progress of searches: in which order configurations count, and what the best so far is."""

import datetime

import numpy as np
import pytest
from chart_helpers import caption, data, panels, texts
from figure_helpers import ESTIMATORS, TASKS, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import search_progress
from raysweep.figures.scope import SweepView

BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
TEMPERATURES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
LOSSES = (5.0, 7.0, 3.0, 4.0, 1.0, 2.0)  # the configurations begin in the reverse of this order
SPEC = spec_of(
    {"A": TASKS["A"]}, {"ST": {**ESTIMATORS["ST"], "temperature": TEMPERATURES}}, seeds=2
)


def backwards(task, estimator, place, seed):
    return {"started_at": BEGAN - datetime.timedelta(minutes=place)}


def losses(task, estimator, place, seed):
    return LOSSES[place] + (seed or -1)  # seeds 0 and 1: one below and one above the mean


def search_of(results, **options):
    return search_progress.prepare(results, search_progress.SearchRequest(**options))


def line_of(results, **options):
    view = SweepView.of(results, search_progress.SearchRequest(**options))
    (line,) = search_progress.progress(view)
    return line


def test_configurations_count_in_the_order_in_which_they_began(tmp_path):
    line = line_of(store_of(tmp_path, SPEC, losses, about=backwards))
    assert line.numbers.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(line.means, LOSSES[::-1], atol=1e-12)


def test_the_best_so_far_changes_where_a_better_mean_comes(tmp_path):
    forwards = lambda *cell: {"started_at": BEGAN + (BEGAN - backwards(*cell)["started_at"])}  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, losses, about=forwards))
    assert line.improved.tolist() == [1, 3, 5]
    np.testing.assert_allclose(line.best, [5.0, 3.0, 1.0], atol=1e-12)


def test_the_best_of_a_metric_to_maximise_is_the_largest(tmp_path):
    line = line_of(store_of(tmp_path, SPEC, losses, about=backwards), select="distance")
    assert line.improved.tolist() == [1, 3, 5]
    np.testing.assert_allclose(line.best, [2.0, 4.0, 7.0], atol=1e-12)


@pytest.mark.parametrize("status", ["diverged", "stopped", "failed"])
def test_what_did_not_end_well_counts_without_a_value(status, tmp_path):
    ended = lambda *cell: status if cell[2] in (0, 4) else losses(*cell)  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, ended, about=backwards))
    assert line.ended == 6
    assert line.numbers.tolist() == [1, 3, 4, 5]
    np.testing.assert_allclose(line.best, [2.0], atol=1e-12)


def test_what_has_yet_to_end_does_not_count(tmp_path):
    ended = lambda *cell: None if cell[2:] == (4, 1) else losses(*cell)  # noqa: E731
    line = line_of(store_of(tmp_path, SPEC, ended, about=backwards))
    assert (line.ended, line.numbers.tolist()) == (5, [1, 2, 3, 4, 5])


def test_of_many_configurations_few_dots_are_kept_and_every_improvement(tmp_path, monkeypatch):
    monkeypatch.setattr(search_progress, "MAX_DOTS", 20)
    count = search_progress.MAX_DOTS + 30
    points = [{"estimator.temperature": 1 + place / count} for place in range(count)]
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": {"low": 1.0, "high": 2.0}}}
    search = {"sampler": "random", "configurations": count}
    spec = spec_of({"A": TASKS["A"]}, estimators, seeds=1, search=search)
    ended = lambda task, estimator, place, seed: float(place)  # noqa: E731
    results = store_of(tmp_path, spec, ended, None, points=lambda arm: points, about=backwards)
    (panel,) = search_of(results).panels
    assert len(panel.dots[0].x) == search_progress.MAX_DOTS
    assert len(panel.lines[0].x) == count + 1


def test_the_axis_leaves_out_what_would_flatten_the_rest(tmp_path):
    ended = lambda *cell: 1e6 if cell[2] == 5 else losses(*cell)  # noqa: E731
    (panel,) = search_of(store_of(tmp_path, SPEC, ended, about=backwards)).panels
    assert panel.y.limits == pytest.approx((0.475, 12.025), abs=1e-12)


def test_equal_means_are_no_improvement_whatever_the_order_of_their_sum(tmp_path):
    parts = ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1])
    ended = lambda task, estimator, place, seed: parts[place % 3][seed]  # noqa: E731
    spec = spec_of(
        {"A": TASKS["A"]}, {"ST": {**ESTIMATORS["ST"], "temperature": TEMPERATURES}}, seeds=3
    )
    line = line_of(store_of(tmp_path, spec, ended, about=backwards))
    assert line.improved.tolist() == [1]


def test_configurations_of_the_same_start_or_of_none_count_by_their_identity(tmp_path):
    known = lambda *cell: {"started_at": BEGAN if cell[2] < 4 else None}  # noqa: E731
    results = store_of(tmp_path, SPEC, losses, about=known)
    line = line_of(results)
    (arm,) = results.spec.arms
    ids = [arm.configuration(cell).configuration_id for cell in arm.cells()]
    order = sorted(range(6), key=lambda place: (place >= 4, ids[place]))
    np.testing.assert_allclose(line.means, [LOSSES[place] for place in order], atol=1e-12)


def test_the_first_run_of_a_configuration_is_its_start(tmp_path):
    def about(task, estimator, place, seed):
        late = datetime.timedelta(minutes=100 * seed)  # so the last configuration is still first
        return {"started_at": backwards(task, estimator, place, seed)["started_at"] + late}

    line = line_of(store_of(tmp_path, SPEC, losses, about=about))
    np.testing.assert_allclose(line.means, LOSSES[::-1], atol=1e-12)


def marks(figure, kind):
    """The records of the layers of a kind of mark of the only panel."""
    (panel,) = panels(figure).values()
    names = {i["data"]["name"] for i in panel["layer"] if i["mark"]["type"] == kind}
    return [record for name in sorted(names) for record in figure.datasets[name]]


def test_a_line_of_steps_goes_on_to_the_last_configuration(tmp_path):
    figure = store_of(tmp_path, SPEC, losses, about=backwards).plot("search")
    corners = [(record["x"], record["y"]) for record in marks(figure, "line")]
    assert corners == [(1, 2.0), (2, 1.0), (6, 1.0)]
    (line,) = (i for i in panels(figure)["A"]["layer"] if i["mark"]["type"] == "line")
    assert line["mark"]["interpolate"] == "step-after"


def test_a_dot_is_drawn_for_every_configuration_that_ended_well(tmp_path):
    ended = lambda *cell: "diverged" if cell[2] == 4 else losses(*cell)  # noqa: E731
    figure = store_of(tmp_path, SPEC, ended, about=backwards).plot("search")
    dots = [(record["x"], record["y"]) for record in figure.datasets["lines-0-dots"]]
    assert dots == [(1, 2.0), (3, 4.0), (4, 3.0), (5, 7.0), (6, 5.0)]


def test_the_axis_of_a_panel_has_its_limits(tmp_path):
    ended = lambda *cell: 1e6 if cell[2] == 5 else losses(*cell)  # noqa: E731
    figure = store_of(tmp_path, SPEC, ended, about=backwards).plot("search")
    scale = panels(figure)["A"]["layer"][0]["encoding"]["y"]["scale"]
    assert scale["domain"] == pytest.approx([0.475, 12.025])
    assert "y axes end at three times as far from the best as the median is" in caption(figure)


def test_a_logarithmic_axis_leaves_limits_and_values_below_zero_out(tmp_path):
    ended = lambda *cell: losses(*cell) - 3.5  # noqa: E731
    figure = store_of(tmp_path, SPEC, ended, about=backwards).plot("search", log=True)
    scale = panels(figure)["A"]["layer"][0]["encoding"]["y"]["scale"]
    assert scale["type"] == "log"
    assert "domain" not in scale
    assert all(record["y"] > 0 for record in data(figure))
    assert "y axes end" not in caption(figure)


def test_the_caption_of_a_search_says_what_is_drawn(tmp_path):
    text = caption(store_of(tmp_path, SPEC, losses, about=backwards).plot("search"))
    assert text == (
        "hand: lowest mean train_loss so far over 2 seeds, in the order in which configurations "
        "began; dots: those whose seeds all ended well"
    )


def test_a_task_without_configurations_says_so(tmp_path):
    ended = lambda *cell: None if cell[0] == "B" else losses(*cell)  # noqa: E731
    spec = spec_of(None, {"ST": {**ESTIMATORS["ST"], "temperature": TEMPERATURES}}, seeds=2)
    figure = store_of(tmp_path, spec, ended, about=backwards).plot("search")
    assert "no configuration yet" in texts(figure)


def test_few_configurations_have_a_tick_for_each(tmp_path):
    figure = store_of(tmp_path, SPEC, losses, about=backwards).plot("search")
    assert texts(figure)[:6] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_no_tick_is_between_two_configurations(count, tmp_path):
    ended = lambda *cell: losses(*cell) if cell[2] < count else None  # noqa: E731
    figure = store_of(tmp_path, SPEC, ended, about=backwards).plot("search")
    shown = texts(figure)
    assert shown[: count + 1] == [*map(str, range(1, count + 1)), "configurations ended"]


def test_lines_of_a_search_outside_the_axes_are_named(tmp_path):
    ended = lambda *cell: 1e6 if cell[1] == "RF" else losses(*cell)  # noqa: E731
    rows = {"ST": {**ESTIMATORS["ST"], "temperature": TEMPERATURES}, "RF": ESTIMATORS["RF"]}
    results = store_of(tmp_path, spec_of({"A": TASKS["A"]}, rows, seeds=2), ended, about=backwards)
    assert "outside the axes: RF on A" in caption(results.plot("search"))
    assert "outside" not in caption(results.plot("search", log=True))


def test_a_figure_of_many_lines_has_a_bound_on_its_dots_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(search_progress, "MAX_ALL", 3)
    figure = store_of(tmp_path, SPEC, losses, about=backwards).plot("search")
    assert [record["x"] for record in figure.datasets["lines-0-dots"]] == [1, 3, 6]
    assert caption(figure).endswith("at most 3 dots in all")


def test_the_numbers_of_a_search_are_a_table(tmp_path):
    prepared = search_of(store_of(tmp_path, SPEC, losses, about=backwards))
    (row,) = prepared.numbers.rows
    assert row == ("ST", "A", "1", "2", "6")


def test_a_search_without_complete_configurations_is_told(tmp_path):
    results = store_of(tmp_path, SPEC, lambda *_: "stopped")
    with pytest.raises(SpecError, match=r"kind: search .* hand .*`raysweep status hand`"):
        results.plot("search")


def test_a_logarithmic_axis_of_a_search_needs_a_positive_value(tmp_path):
    results = store_of(tmp_path, SPEC, lambda *cell: -losses(*cell))
    with pytest.raises(SpecError, match="log: expected positive values of train_loss, got none"):
        results.plot("search", log=True)


def test_a_search_has_no_metric_but_the_one_that_selects(hand):
    with pytest.raises(SpecError, match=r"metric: .* kind search .*\(known: .*select"):
        hand.plot("search", metric="distance")

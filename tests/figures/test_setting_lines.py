"""Lines of a metric over a setting."""

import itertools
import math

import pytest
from chart_helpers import caption, texts
from figure_helpers import TASKS, loss, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import lines

OVER = "temperature"


def lines_of(results, **options):
    return lines.prepare(results, lines.LinesRequest(**options))


def one_line(prepared, estimator, task="A"):
    (line,) = (
        line
        for panel in prepared.panels
        for line in panel.lines
        if (panel.title, line.estimator) == (task, estimator)
    )
    return line, list(line.x)


def searched(tmp_path, values, **more):
    estimators = {"ST": {"estimator": "straight_through", "temperature": values}}
    return store_of(tmp_path, spec_of(TASKS, estimators, **more))


def test_a_point_is_the_mean_over_seeds_at_a_value(hand):
    line, x = one_line(lines_of(hand, over=OVER), "ST")
    assert x == [1.0, 2.0]
    assert list(line.y) == [11.0, 10.0]
    assert list(line.band[1] - line.y) == pytest.approx([1 / math.sqrt(3)] * 2)


def test_estimators_without_the_setting_have_no_line_and_the_caption_says_so(hand):
    prepared = lines_of(hand, over=OVER)
    assert [line.estimator for line in prepared.panels[0].lines] == ["ST"]
    assert "not shown, without estimator.temperature: RF" in caption(hand.plot("lines", over=OVER))


def test_values_in_any_order_are_drawn_in_order(tmp_path):
    _, x = one_line(lines_of(searched(tmp_path, [4.0, 1.0, 2.0]), over=OVER), "ST")
    assert x == [1.0, 2.0, 4.0]


def test_the_best_of_several_configurations_stands_for_a_value(tmp_path):
    results = searched(tmp_path, [1.0, 2.0], training={"lr": [0.1, 0.2]})
    prepared = lines_of(results, over=OVER)
    line, _ = one_line(prepared, "ST")
    rows = results.sql(
        """select "param.estimator.temperature" as x, min(mean) as best from (
            select "param.estimator.temperature", avg("metric.train_loss") as mean from runs
            where task = 'A' group by configuration_id, "param.estimator.temperature") group by x
            order by x"""
    )
    assert list(line.y) == rows["best"].to_pylist()
    assert "minimum mean train_loss for each value" in prepared.caption


@pytest.mark.parametrize(("values", "log"), [([1.0, 2.0, 29.0], False), ([1.0, 30.0], True)])
def test_a_wide_span_of_values_has_a_logarithmic_axis(tmp_path, values, log):
    assert lines_of(searched(tmp_path, values), over=OVER).panels[0].x.log is log


def test_several_metrics_have_panels_of_their_own(hand):
    panels = lines_of(hand, over=OVER, metric=("train_loss", "distance")).panels
    assert [(panel.metric, panel.title) for panel in panels] == [
        (metric, task) for metric in ("train_loss", "distance") for task in ("A", "B")
    ]


def test_a_setting_that_is_no_number_is_refused(tmp_path):
    results = searched(tmp_path, 1.0, training={"optimizer": ["adam", "sgd"]})
    with pytest.raises(SpecError, match=r"expected a setting of numbers .* heatmap shows any"):
        lines_of(results, over="optimizer")


def test_two_settings_are_refused(hand):
    with pytest.raises(SpecError, match="expected one setting for lines"):
        lines_of(hand, over=("temperature", "lr"))


def test_a_logarithmic_axis_needs_a_positive_value(tmp_path):
    results = store_of(tmp_path, spec_of(), lambda *cell: -loss(*cell))
    with pytest.raises(SpecError, match="expected positive values of train_loss"):
        lines_of(results, over=OVER, log=True)


def labels_below(chart):
    """The texts of the first panel's x ticks."""
    return list(itertools.takewhile(lambda text: text != "temperature", texts(chart)))


@pytest.mark.parametrize(
    "values",
    [[0.02, 0.03, 0.9], [0.0001, 0.0003, 0.001, 0.003, 0.01], [0.01, 0.02, 0.05], [1, 2, 4]],
    ids=str,
)
def test_the_values_of_the_setting_are_labelled(tmp_path, values):
    figure = searched(tmp_path, values).plot("lines", over=OVER)
    assert {f"{value:g}" for value in values} <= {*labels_below(figure)}


def test_a_logarithmic_axis_has_a_power_of_ten_between_its_values(tmp_path):
    figure = searched(tmp_path, [1.0, 29.0, 30.0]).plot("lines", over=OVER)
    assert labels_below(figure) == ["1", "10", "30"]


@pytest.mark.parametrize("size", ["screen", "column"])
def test_labels_of_values_do_not_overlap(tmp_path, size):
    values = [0.001 * 1.3**index for index in range(16)]
    shown = labels_below(searched(tmp_path, values).plot("lines", over=OVER, size=size))
    assert 3 <= len([text for text in shown if text]) <= 16


def test_intervals_along_a_short_logarithmic_axis_have_round_numbers(tmp_path):
    lr = {"low": 0.02, "high": 0.9, "log": True}
    search = {"sampler": "random", "configurations": 2}
    estimators = {"ST": {"estimator": "straight_through"}}
    spec = spec_of(TASKS, estimators, training={"lr": lr}, search=search)
    points = [{"training.lr": 0.021}, {"training.lr": 0.8}]
    results = store_of(tmp_path, spec, points=lambda arm: points)
    shown = texts(results.plot("lines", over="lr"))
    assert shown[: shown.index("lr")] == ["0.05", "0.1", "0.2", "0.5"]

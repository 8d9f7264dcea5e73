"""Figures: which numbers are drawn, and that every figure can be drawn and saved."""

import itertools
import re

import altair
import numpy as np
import pytest
from chart_helpers import caption, data, panels, svg, texts
from figure_helpers import ESTIMATORS, STEPS, TASKS, loss, only_begun, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import curves, drawing, kinds, size
from raysweep.figures.kinds import save

SPEC = spec_of()
TEMPERATURE = "estimator.temperature"


def curves_of(results, **options):
    return curves.prepare(results, curves.CurvesRequest(**options))


def line_of(what, estimator, task="A"):
    (panel,) = (panel for panel in what.panels if panel.title == task)
    (line,) = (line for line in panel.lines if line.estimator == estimator)
    return line


def test_a_line_is_of_the_configuration_that_the_table_selects(hand):
    line = line_of(curves_of(hand), "ST")
    assert line.y[-1] == hand.table().cell("ST", "A").mean == 10.0
    assert list(line.x) == list(STEPS)


def test_another_metric_may_select(hand):
    line = line_of(curves_of(hand, metric="train_loss", select="distance"), "ST")
    assert line.y[-1] == 11.0


def test_the_band_is_the_standard_error_over_seeds(hand):
    line = line_of(curves_of(hand), "RF")
    np.testing.assert_allclose(line.y, [31.0, 21.0, 11.0])
    np.testing.assert_allclose(line.band[1] - line.y, [1 / np.sqrt(3)] * 3)
    np.testing.assert_allclose(line.y - line.band[0], [1 / np.sqrt(3)] * 3)
    assert line.count == 3


def test_one_seed_has_no_band(tmp_path):
    what = curves_of(store_of(tmp_path, spec_of(seeds=1)))
    line = line_of(what, "RF")
    assert list(line.band[0]) == list(line.band[1]) == list(line.y)


def test_values_that_are_not_finite_are_skipped(tmp_path):
    def gaps(final, step, last):
        if step == 20:
            return {"train_loss": None}
        return {"train_loss": float("inf") if (step, final) == (10, 12.0) else final}

    line = line_of(curves_of(store_of(tmp_path, SPEC, curve=gaps)), "RF")
    assert list(line.x) == [10, 30]
    assert list(line.y) == [10.5, 11.0]


def test_a_provisional_line_is_marked_with_its_seeds(tmp_path):
    what = curves_of(store_of(tmp_path, SPEC, only_begun))
    assert line_of(what, "ST").state == "provisional"
    assert line_of(what, "ST", "B").state == "selected"
    assert what.rows == {0: "ST (? n = 2 on A)", 1: "RF"}


def test_a_line_that_is_provisional_everywhere_needs_no_task_in_the_legend(tmp_path):
    what = curves_of(store_of(tmp_path, SPEC, lambda *cell: None if cell[3] else loss(*cell)))
    assert what.rows[1] == "RF (? n = 1)"


def test_a_cell_without_an_ended_run_has_no_line(tmp_path):
    ended = lambda *cell: "diverged" if cell[:2] == ("A", "RF") else loss(*cell)  # noqa: E731
    (panel, _) = curves_of(store_of(tmp_path, SPEC, ended)).panels
    assert [line.estimator for line in panel.lines] == ["ST"]


def test_labels_restrict_panels_and_lines_and_keep_colours(hand):
    what = curves_of(hand, tasks=["B"], estimators=["RF"])
    assert [panel.title for panel in what.panels] == ["B"]
    assert what.rows == {1: "RF"}


def test_several_metrics_have_a_row_of_panels_each(hand):
    what = curves_of(hand, metric=["distance", "train_loss"])
    assert [(panel.metric, panel.title) for panel in what.panels] == [
        ("distance", "A"),
        ("distance", "B"),
        ("train_loss", "A"),
        ("train_loss", "B"),
    ]
    assert [panel.y.title for panel in what.panels[1:3]] == ["distance [m]", "train_loss"]


def test_a_sweep_that_selects_by_a_metric_without_curves_shows_the_loss(tmp_path):
    spec = spec_of(select={"metric": "distance", "mode": "max"})
    results = store_of(tmp_path, spec, curve=lambda *_: {"train_loss": 1.0})
    assert {panel.metric for panel in curves_of(results).panels} == {"train_loss"}


def test_a_long_curve_keeps_its_ends_and_few_points_between(tmp_path):
    spec = spec_of({"A": TASKS["A"]}, {"RF": ESTIMATORS["RF"]}, seeds=1)
    line = line_of(curves_of(store_of(tmp_path, spec, steps=range(1, 5001))), "RF")
    assert len(line.x) == curves.MAX_POINTS
    assert (line.x[0], line.x[-1]) == (1, 5000)


@pytest.mark.parametrize(("steep", "cut"), [(1000.0, True), (1.0, False)])
def test_the_axis_leaves_out_a_start_that_would_flatten_the_rest(steep, cut, tmp_path):
    spec = spec_of({"A": TASKS["A"]}, {"RF": ESTIMATORS["RF"]}, seeds=1)
    fall = lambda final, step, last: {"train_loss": -step / 100 + steep * (step == 1)}  # noqa: E731
    (panel,) = curves_of(store_of(tmp_path, spec, curve=fall, steps=range(1, 101))).panels
    assert (panel.y.limits is not None) == cut
    assert not cut or panel.y.limits == pytest.approx((-1.0445, -0.0655), abs=1e-3)


def test_no_ended_run_is_told(tmp_path):
    results = store_of(tmp_path, SPEC, lambda *_: None)
    with pytest.raises(SpecError, match="no run of hand has finished; `raysweep status"):
        results.plot()


def test_no_curves_are_told(tmp_path):
    with pytest.raises(SpecError, match=r"no finished run of hand has curves; .*`report_every`"):
        store_of(tmp_path, SPEC, curve=None).plot()


def test_a_metric_without_curves_is_told_with_those_that_have_some(tmp_path):
    results = store_of(tmp_path, SPEC, curve=lambda *_: {"train_loss": 1.0})
    with pytest.raises(SpecError, match=r"with curves, got 'distance'.*known: train_loss\)"):
        results.plot(metric="distance")


def test_a_logarithmic_axis_needs_a_positive_value(hand):
    with pytest.raises(SpecError, match="log: expected positive values of distance, got none"):
        hand.plot(metric="distance", log=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "los"}, "metric: expected a metric of the sweep, got 'los'"),
        ({"select": "los"}, "select: expected a metric of the sweep, got 'los'"),
        ({"tasks": ["a"]}, "tasks: expected a label of the sweep file, got 'a'"),
        ({"estimators": "SR"}, "estimators: expected a label .* got 'SR'; did you mean 'ST'"),
        ({"over": "lr"}, r"over: .* kind curves .*\(known: all, band, "),
        ({"kind": "curve"}, "kind: expected a kind of figure, got 'curve'; did you mean 'cur"),
    ],
)
def test_what_the_sweep_lacks_is_told(options, message, hand):
    with pytest.raises(SpecError, match=message):
        hand.plot(**options)


FIGURES = {kind: {} for kind in kinds.KINDS} | {
    "curves": {"metric": ("train_loss", "distance")},
    "heatmap": {"over": TEMPERATURE},
    "lines": {"over": TEMPERATURE},
    "paths": {"x": "train_loss", "y": "distance"},
}


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg", "html", "json"])
@pytest.mark.parametrize("kind", FIGURES)
def test_the_same_results_give_the_same_file(kind, suffix, hand, tmp_path):
    first, second = (
        save(hand, kind, FIGURES[kind], tmp_path / f"{name}.{suffix}").read_bytes()
        for name in ("first", "second")
    )
    assert first == second


@pytest.mark.parametrize("kind", ["curves", "heatmap", "paths"])
@pytest.mark.parametrize("count", [1, 3, pytest.param(12, marks=pytest.mark.slow)])
def test_any_number_of_panels_and_lines_fits(count, kind, tmp_path):
    tasks = {f"task of size {each}": {"task": "toy", "size": each + 1} for each in range(count)}
    estimators = {
        f"ST with a label {each}": {
            "estimator": "straight_through",
            "temperature": [1.0 + each, 2.0 + each],
        }
        for each in range(count)
    }
    spec = spec_of(tasks, estimators, seeds=1)
    chart = store_of(tmp_path, spec, lambda *cell: float(cell[2])).plot(kind, **FIGURES[kind])
    width, height = map(
        float, re.search(r'width="([\d.]+)" height="([\d.]+)"', svg(chart)).groups()
    )
    assert len(panels(chart)) == count
    assert width <= 72 * max(size.SCREEN_WIDTHS.values()) + 40
    assert height > 0


def test_dollars_and_underscores_in_labels_are_text(tmp_path):
    spec = spec_of({"$x_": TASKS["A"], "$\\frac$": TASKS["B"]}, {"_y": ESTIMATORS["ST"]})
    shown = texts(store_of(tmp_path, spec, lambda *cell: float(cell[3])).plot())
    assert {"$x_", "$\\frac$", "_y"} <= set(shown)


def test_provisional_lines_are_pale(tmp_path):
    drawn = data(store_of(tmp_path, SPEC, only_begun).plot(), "A")
    assert {(line["row"], line["opacity"]) for line in drawn} == {
        ("ST (? n = 2 on A)", drawing.PALE),
        ("RF", 1.0),
    }


def test_the_y_axis_has_the_name_and_unit_of_its_metric(hand):
    assert "distance [m]" in texts(hand.plot(metric="distance"))


def test_the_caption_tells_what_is_drawn(hand):
    text = caption(hand.plot())
    for part in ("hand: ", "over 3 seeds", "± 1 standard error", "minimum mean train_loss"):
        assert part in text


@pytest.mark.parametrize("kind", ["curves", "time"])
def test_the_caption_says_that_a_line_need_not_end_at_the_tables_value(kind, tmp_path):
    timed = lambda final, step, last: {"train_loss": final, "seconds": float(step)}  # noqa: E731
    text = caption(store_of(tmp_path, spec_of(), curve=timed).plot(kind))
    assert "tables have training metrics as means over a run's last steps (window)" in text


def test_the_caption_of_one_seed_names_no_band(tmp_path):
    text = caption(store_of(tmp_path, spec_of(seeds=1)).plot())
    assert text.startswith("hand: mean over 1 seed; at")


def test_forty_rows_differ_in_colour_or_dashes():
    dashes = [size.DASHES[index % len(size.DASHES)] for index in range(40)]
    assert len({(size.colour(index), dash) for index, dash in enumerate(dashes)}) == 40


def test_neighbouring_rows_differ_in_black_and_white():
    domain = drawing.Rows({index: f"row {index}" for index in range(12)}).dash.to_dict()["scale"][
        "range"
    ]
    assert all(first != second for first, second in itertools.pairwise(domain))


@pytest.mark.parametrize("estimators", [["ST", "RF"], ["RF"]])
def test_a_row_has_the_same_colour_whichever_others_are_shown(hand, estimators):
    drawn = svg(hand.plot(estimators=estimators, tasks="A"))
    assert f'stroke="{size.COLOURS[1]}"' in drawn
    assert (f'stroke="{size.COLOURS[0]}"' in drawn) == ("ST" in estimators)


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (4, 4), (5, 3), (6, 3), (7, 4), (9, 3), (12, 4)]
)
def test_panels_wrap_after_three_or_four(count, columns):
    assert size.SCREEN.columns_for(count) == columns


def test_the_users_theme_of_altair_changes_nothing(hand, tmp_path):
    plain = save(hand, "curves", {}, tmp_path / "plain.json").read_bytes()
    with altair.theme.enable("dark"):
        assert save(hand, "curves", {}, tmp_path / "other.json").read_bytes() == plain


@pytest.mark.parametrize("shown", [True, False])
def test_a_caption_can_be_left_out(hand, shown):
    assert (caption(hand.plot(caption=shown)) != "") is shown


def test_letters_may_have_serifs(hand):
    assert "Liberation Serif" in svg(hand.plot(font="serif"))


def test_letters_that_no_font_has_are_told(tmp_path):
    lines = []
    results = store_of(tmp_path, spec_of({"ᬀ": TASKS["A"]}), lambda *cell: 1.0)
    save(results, "curves", {}, tmp_path / "figure.png", warn=lines.append)
    assert [line.partition(":")[0] for line in lines] == ["no font of this machine has ᬀ"]


def test_a_chart_may_be_changed_and_saved(hand, tmp_path):
    hand.plot().properties(background="pink").save(tmp_path / "figure.svg")
    assert "pink" in (tmp_path / "figure.svg").read_text()


def test_every_configuration_has_a_line_on_request(hand):
    shown = [
        {row.get("label", "") for row in data(hand.plot(all=wanted))} for wanted in (False, True)
    ]
    assert shown[0] == {""}
    assert len(shown[1]) > 1
    assert "faint: 2 other configurations" in caption(hand.plot(all=True))


def test_lines_outside_the_axes_are_named(tmp_path):
    def curve(final, step, last):
        if final < 25:
            return {"train_loss": 1000.0 * (step == 1) - step / 100}
        return {"train_loss": 1000.0 if step < 6 else None}

    ended = lambda *cell: 30.0 if cell[1] == "RF" else 1.0  # noqa: E731
    results = store_of(tmp_path, spec_of(), ended, curve=curve, steps=range(1, 101))
    assert "outside the axes: RF on A, RF on B" in caption(results.plot())


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (
            "figure.jpg",
            "out: expected a name that ends in .png, .pdf, .svg, .html, .json, got 'figure.jpg'",
        ),
        (
            "none/figure.png",
            "out: cannot write 'none/figure.png': the folder 'none' does not exist",
        ),
        (
            "taken.png",
            "out: cannot write 'taken.png': Is a directory",
        ),
    ],
)
def test_a_file_that_cannot_be_written_is_told(out, message, hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(SpecError, match=re.escape(message)):
        save(hand, "curves", {}, out)


def test_a_short_logarithmic_axis_has_plain_numbers(tmp_path):
    assert "20" in texts(store_of(tmp_path, SPEC).plot(log=True))


def test_lines_of_a_caption_are_about_as_long_as_each_other():
    letters = 14 * size.LETTER * size.SCREEN.font
    assert size.SCREEN.wrapped("one two three four", letters) == ["one two", "three four"]


DIFFERENT = [
    ("curves", {}),
    ("curves", {"metric": "distance"}),
    ("curves", {"metric": ["distance", "train_loss"]}),
    ("curves", {"select": "distance"}),
    ("curves", {"tasks": "A"}),
    ("curves", {"estimators": "ST"}),
    ("curves", {"log": True}),
    ("curves", {"band": "std"}),
    ("curves", {"size": "page"}),
    ("curves", {"font": "serif"}),
    ("curves", {"caption": False}),
    ("curves", {"all": True}),
    ("seeds", {}),
    ("seeds", {"metric": "distance"}),
    ("seeds", {"select": "distance"}),
    ("heatmap", {"over": "lr"}),
    ("heatmap", {"over": "temperature"}),
    ("heatmap", {"over": ("lr", "temperature")}),
    ("heatmap", {"over": ("temperature", "lr")}),
    ("heatmap", {"over": "lr", "metric": "distance"}),
    ("lines", {"over": "lr"}),
    ("lines", {"over": "temperature"}),
]


def test_different_figures_have_different_default_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    estimators = {"ST": {**ESTIMATORS["ST"], "temperature": [1.0, 2.0]}}
    spec = spec_of(None, estimators, training={"lr": [0.1, 0.2]})
    results = store_of(tmp_path / "store", spec)
    names = [save(results, kind, options).name for kind, options in DIFFERENT]
    assert len(set(names)) == len(names)
    assert "hand-heatmap-lr+temperature.png" in names


def test_the_same_figure_replaces_its_file(hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = save(hand, "seeds", {}), save(hand, "seeds", {})
    assert first == second
    assert [path.name for path in tmp_path.glob("*.png")] == [first.name]


def test_a_long_default_name_is_cut_and_remains_unique():
    every = [f"estimator {number}" for number in range(60)]
    names = [kinds._name("seeds", None, {"estimators": some}) for some in (every, every[:-1])]
    assert names[0] != names[1]
    assert max(map(len, names)) < 140

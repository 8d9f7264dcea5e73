"""Paths in the plane of two metrics: lines in the order of steps, and a mark at each end."""

import pytest
from chart_helpers import caption, data, panels, texts
from figure_helpers import ESTIMATORS, STEPS, TASKS, loss, only_begun, spec_of, store_of

from raysweep.errors import SpecError
from raysweep.figures import paths
from raysweep.figures.paths import PathsRequest

PAIR = {"x": "train_loss", "y": "distance"}
PAIRS = {"x": ["train_loss", "distance"], "y": ["distance", "train_loss"]}


def prepared_of(results, **options):
    return paths.prepare(results, PathsRequest(**options))


def lines_of(figure, task="A"):
    """The points of each run's line in a panel, in the order in which they are joined."""
    found = {}
    for record in data(figure, task):
        found.setdefault(record["line"], []).append(record)
    return list(found.values())


def layer_of(figure, kind):
    (layer,) = (i for i in panels(figure)["A"]["layer"] if i["mark"]["type"] == kind)
    return layer


def test_a_path_is_one_run_in_the_plane_of_two_metrics(hand):
    panel = prepared_of(hand, **PAIR).panels[0]
    assert [path.estimator for path in panel.lines] == ["ST"] * 3 + ["RF"] * 3
    ends = sorted((path.x[-1], path.y[-1]) for path in panel.lines if path.estimator == "RF")
    assert ends == [(10.0, -300.0), (11.0, -330.0), (12.0, -360.0)]


def test_every_pair_of_metrics_has_a_path(hand):
    found = prepared_of(hand, **PAIRS).panels[0].lines
    pairs = ["distance over train_loss", "train_loss over distance"]
    assert sorted(path.label for path in found) == [pair for pair in pairs for _ in range(6)]


def test_metrics_of_paths_come_in_pairs(hand):
    with pytest.raises(SpecError, match=r"x: .* got 1 for x and 0 for y"):
        hand.plot("paths", x=["train_loss"])


def test_points_are_joined_in_the_order_of_steps(tmp_path):
    back = lambda final, step, last: {"train_loss": (step - 20) ** 2, "distance": step}  # noqa: E731
    spec = spec_of({"A": TASKS["A"]}, {"RF": ESTIMATORS["RF"]}, seeds=1)
    figure = store_of(tmp_path, spec, curve=back).plot("paths", **PAIR)
    (line,) = {tuple((i["x"], i["y"]) for i in line[:3]) for line in lines_of(figure)}
    assert line == ((100, 10), (0, 20), (100, 30))
    assert layer_of(figure, "line")["encoding"]["order"]["field"] == "order"
    assert [record["order"] for record in lines_of(figure)[0]][:3] == [0, 1, 2]


def test_every_path_has_a_mark_at_its_end(hand):
    figure = hand.plot("paths", **PAIR)
    ends = [record for record in data(figure, "A") if "end" in record]
    assert len(ends) == 6
    assert all(record["order"] == len(STEPS) - 1 for record in ends)


def test_pairs_differ_in_their_marks_and_the_caption_names_them(hand):
    figure = hand.plot("paths", **PAIRS)
    ends = {record["label"]: record["end"] for record in data(figure) if "end" in record}
    assert ends == {"distance over train_loss": "circle", "train_loss over distance": "square"}
    assert (
        "a line for each seed and pair, a mark where it ends (circle: distance over train_loss, "
        "square: train_loss over distance)"
    ) in caption(figure)


def test_the_caption_of_one_pair_names_no_mark(hand):
    text = caption(hand.plot("paths", **PAIR))
    assert text.startswith("hand: a line for each seed, a mark where it ends; at the conf")


def test_paths_that_are_provisional_are_pale_and_marked_in_the_legend(tmp_path):
    figure = store_of(tmp_path, spec_of(), only_begun).plot("paths", **PAIR)
    opacities = {i["row"]: i["opacity"] for line in lines_of(figure) for i in line}
    assert opacities["ST (?)"] < opacities["RF"]
    assert {"ST (?)", "RF"} <= set(texts(figure))
    assert "pale (?): provisional" in caption(figure)


def test_the_caption_says_nothing_of_provisional_paths_where_there_are_none(hand):
    assert "provisional" not in caption(hand.plot("paths", **PAIR))


def test_axes_have_the_names_and_unit_of_their_metrics(hand):
    shown = texts(hand.plot("paths", **PAIR))
    assert {"train_loss", "distance [m]"} <= set(shown)


def test_a_task_without_curves_says_so(tmp_path):
    ended = lambda *cell: "diverged" if cell[0] == "B" else loss(*cell)  # noqa: E731
    figure = store_of(tmp_path, spec_of(), ended).plot("paths", **PAIR)
    assert "no curve" in texts(figure)


def test_the_numbers_of_paths_are_their_ends(hand):
    table = prepared_of(hand, **PAIR).numbers
    assert len(table.rows) == 12
    assert table.rows[3] == ("RF", "A", "train_loss", "distance", "10", "-300", "selected")


def test_a_long_table_of_numbers_says_how_many_rows_it_leaves_out(tmp_path):
    spec = spec_of({"A": TASKS["A"]}, {"RF": ESTIMATORS["RF"]}, seeds=203)
    results = store_of(tmp_path, spec, steps=(1,))
    table = prepared_of(results, **PAIR).numbers
    assert len(table.rows) == 201
    assert table.rows[-1] == ("and 3 more", *[""] * 6)

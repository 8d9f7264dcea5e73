"""The table on fresh seeds, and the best trade-offs between two metrics."""

import itertools
import json

import pytest

import raysweep
from raysweep.formats.captions import title
from raysweep.scheduling.scheduler import Schedule
from raysweep.sweepfile.reader import read_spec

FRESH = 1_000_000


def bowl(x, **keys):
    return {
        "name": "bowls",
        "tasks": {"bowl": {"task": "bowl", "x": x, "y": -0.4}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": {"search": 3, "report": 4},
        **keys,
    }


@pytest.fixture
def run(tmp_path):
    """Runs a sweep in this process."""
    return lambda spec: raysweep.run(spec, store=tmp_path, inline=True)


@pytest.fixture
def results(run):
    return run(bowl([0.0, 0.3, 0.9]))


def fresh(results):
    """Runs on fresh seeds by place."""
    counted = results.sql(
        f'select "param.task.x" as x, count(*) as n from runs where seed >= {FRESH} group by all'
    )
    return {row["x"]: row["n"] for row in counted.to_pylist()}


def drop(results, condition):
    """Rewrites the rows of runs without some of them."""
    files = results.store.files
    for name in files.names("runs"):
        rows = [row for row in files.read_table(name).to_pylist() if not condition(row)]
        schema = files.read_schema(name)
        files.write_table(name, type(files.read_table(name)).from_pylist(rows, schema=schema))


def rewrite(results, condition, **changes):
    """Changes columns of some rows."""
    files = results.store.files
    for name in files.names("runs"):
        table = files.read_table(name)
        rows = [{**row, **(changes if condition(row) else {})} for row in table.to_pylist()]
        files.write_table(name, type(table).from_pylist(rows, schema=table.schema))


def test_only_the_selected_configuration_runs_on_fresh_seeds(results):
    assert fresh(results) == {0.3: 4}


def test_the_table_shows_the_fresh_seeds_alone_and_says_so(results):
    found = results.table()
    rows = [row for row in results.runs().to_pylist() if row["seed"] >= FRESH]
    mean = sum(row["metric.train_loss"] for row in rows) / 4
    (cell,) = found.cells
    assert (cell.status, cell.n, cell.mean) == ("selected", 4, pytest.approx(mean, rel=1e-12))
    assert set(cell.run_ids) == {row["run_id"] for row in rows}
    assert "over 4 fresh seeds" in title(found)
    assert json.loads(found.render("json"))["fresh_seeds"] == 4


def test_a_cell_none_of_whose_fresh_seeds_has_ended_is_unreported(results):
    drop(results, lambda row: row["seed"] >= FRESH)
    (cell,) = results.table().cells
    assert (cell.status, cell.mean, cell.settings) == ("unreported", None, {"task.x": 0.3})
    assert "unreported" in results.table().render("text")


def test_a_cell_some_of_whose_fresh_seeds_have_ended_is_provisional(results):
    drop(results, lambda row: row["seed"] > FRESH)
    (cell,) = results.table().cells
    assert (cell.status, cell.n) == ("provisional", 1)


def test_a_diverged_fresh_seed_leaves_the_cell_without_a_mean(results):
    rewrite(results, lambda row: row["seed"] == FRESH, status="diverged")
    found = results.table()
    assert (found.cells[0].status, found.cells[0].mean) == ("diverged", None)
    assert "1 of 4 fresh seeds" in found.render("text")


def test_another_metric_may_pick_a_configuration_without_fresh_seeds(results):
    (cell,) = results.table(select="height").cells
    assert cell.status in ("selected", "unreported")
    picked = results.table(select="height").cells[0].settings["task.x"]
    assert (cell.status == "selected") == (picked == 0.3)


def test_fresh_runs_wait_for_the_end_of_their_arms_search(tmp_path):
    from raysweep.store.sweep_store import SweepStore

    spec = read_spec(bowl([0.0, 0.3, 0.9]))
    schedule = Schedule(spec, SweepStore(str(tmp_path), "bowls"))
    assert all(member.run.seed < FRESH for member in schedule.planned.values())
    assert schedule.to_come == 4


def test_a_new_selection_runs_only_its_own_fresh_seeds(run):
    run(bowl([0.0, 0.9]))
    after = run(bowl([0.0, 0.3, 0.9]))
    assert fresh(after) == {0.0: 4, 0.3: 4}
    again = run(bowl([0.0, 0.3, 0.9]))
    assert again.runs().num_rows == after.runs().num_rows == 9 + 8


def test_more_fresh_seeds_run_only_what_is_new(run):
    before = set(run(bowl([0.0, 0.3])).runs()["run_id"].to_pylist())
    after = set(
        run(bowl([0.0, 0.3], seeds={"search": 3, "report": 6})).runs()["run_id"].to_pylist()
    )
    assert before < after
    assert len(after - before) == 2


def test_fresh_seeds_are_no_candidates_of_the_search(run):
    run(bowl([0.0, 0.3]))
    schedule_of = Schedule(
        read_spec(bowl([0.0, 0.3], search={"sampler": "tpe", "configurations": 2})),
        run(bowl([0.0, 0.3])).store,
    )
    values = [trial.value for trial in schedule_of.arms[0].study.study.trials]
    assert len(values) == 2
    assert schedule_of.missing == 0


# Two metrics.

PLACES = {"x": [-0.5, 0.0, 0.3, 0.8], "y": [-0.8, -0.4, 0.0, 0.5]}
BOTH = {"metric": ["train_loss", "height"]}


@pytest.fixture
def trade_offs(run):
    spec = bowl(PLACES["x"], seeds=2, select=BOTH)
    spec["tasks"]["bowl"]["y"] = PLACES["y"]
    return run(spec)


def test_the_front_is_what_no_configuration_beats(trade_offs):
    means = {}
    for row in trade_offs.runs().to_pylist():
        place = (row["param.task.x"], row["param.task.y"])
        loss, height = means.get(place, (0.0, 0.0))
        means[place] = (loss + row["metric.train_loss"] / 2, height + row["metric.height"] / 2)

    def beats(one, other):
        return (one[0] <= other[0] and one[1] >= other[1]) and one != other

    expected = {
        place
        for place, value in means.items()
        if not any(beats(other, value) for other in means.values())
    }
    front = trade_offs.table().front
    assert {(p.settings["task.x"], p.settings["task.y"]) for p in front} == expected
    assert 1 < len(front) < len(means)


def test_the_front_comes_by_its_first_metric(trade_offs):
    losses = [point.means[0] for point in trade_offs.table().front]
    assert all(a <= b for a, b in itertools.pairwise(losses))


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_the_front_is_in_every_form_that_is_read(trade_offs, form):
    text = trade_offs.table().render(form)
    if form == "json":
        data = json.loads(text)
        assert data["front_metrics"] == ["train_loss", "height"]
        assert len(data["front"]) == len(trade_offs.table().front)
    else:
        assert "Pareto front: train_loss (min) against height (max)" in text
        assert text.count("x 0.3") >= 1


def test_one_metric_asked_for_has_no_front(trade_offs):
    assert trade_offs.table(select="height").front == ()


def test_a_configuration_with_a_seed_to_go_is_not_in_the_front(trade_offs):
    first = trade_offs.table().front[0].configuration_id
    drop(trade_offs, lambda row: row["configuration_id"] == first and row["seed"] == 1)
    assert first not in {point.configuration_id for point in trade_offs.table().front}

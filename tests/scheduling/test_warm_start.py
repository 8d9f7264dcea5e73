"""Warm starts: what a search learns from another sweep."""

import statistics

import pytest

import raysweep
from raysweep.driver.prior import prior_results
from raysweep.errors import SpecError
from raysweep.scheduling.scheduler import Schedule
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

WIDE = {"low": -1.0, "high": 1.0}


def bowl(name="new", x=WIDE, search=None, task=(), **keys):
    return {
        "name": name,
        "tasks": {"bowl": {"task": "bowl", "x": x, **dict(task)}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 2,
        "search": {"sampler": "tpe", "configurations": 4, **(search or {})},
        **keys,
    }


@pytest.fixture
def old(tmp_path):
    """A sweep of six configurations, whose results others may learn from."""
    return raysweep.run(
        bowl("old", search={"sampler": "random", "configurations": 6}), store=tmp_path, inline=True
    )


def schedule(tmp_path, **keys):
    search = {"from": "old", **keys.pop("search", {})}
    spec, store = read_spec(bowl(search=search, **keys)), SweepStore(str(tmp_path), "new")
    return Schedule(spec, store, prior=prior_results(spec, store))


def told(schedule):
    """The finished trials of the only arm: place and value."""
    (search,) = schedule.arms
    return {
        trial.params["task.x"]: trial.value
        for trial in search.study.study.trials
        if trial.state.is_finished()
    }


def means(results, low=-1.0, high=1.0):
    found = {}
    for row in results.runs().to_pylist():
        if low <= row["param.task.x"] <= high:
            found.setdefault(row["param.task.x"], []).append(row["metric.train_loss"])
    return {x: statistics.fmean(values) for x, values in found.items()}


def test_every_configuration_is_told_by_its_mean(tmp_path, old):
    found = schedule(tmp_path)
    assert told(found) == pytest.approx(means(old), rel=1e-12)
    assert found.learnt == {"ST · bowl": 6}


def test_what_is_learnt_is_not_counted_as_tried(tmp_path, old):
    assert len(schedule(tmp_path).arms[0].study.known) == 1  # the first in flight
    results = raysweep.run(bowl(search={"from": "old"}), store=tmp_path, inline=True)
    assert results.runs().num_rows == 4 * 2


def test_only_what_is_inside_the_space_is_learnt(tmp_path, old):
    found = schedule(tmp_path, x={"low": 0.0, "high": 1.0})
    assert told(found) == pytest.approx(means(old, low=0.0), rel=1e-12)
    assert 0 < len(told(found)) < 6


def test_configurations_with_a_lost_seed_are_not_learnt(tmp_path, old):
    files = old.store.files
    name = files.names("runs")[0]
    table = files.read_table(name)
    rows = table.to_pylist()
    rows[0]["status"] = "diverged"
    files.write_table(name, type(table).from_pylist(rows, schema=table.schema))
    assert rows[0]["param.task.x"] not in told(schedule(tmp_path))
    assert len(told(schedule(tmp_path))) == 5


def test_equal_stores_give_equal_proposals(tmp_path, old):
    def proposed():
        return [member.run.run_id for member in schedule(tmp_path).planned.values()]

    assert proposed() == proposed()


def test_what_was_learnt_changes_what_is_proposed(tmp_path, old):
    few = {"n_startup_trials": 2}
    with_it = schedule(tmp_path, search=few)
    without = Schedule(read_spec(bowl(search=few)), SweepStore(str(tmp_path), "new"))
    assert set(with_it.planned) != set(without.planned)


def test_a_sweep_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"search.from: expected a sweep in .*, got 'old'"):
        schedule(tmp_path)


def test_results_of_other_fixed_settings_are_refused(tmp_path, old):
    with pytest.raises(SpecError, match="none of the 6 finished configurations of sweep 'old'"):
        schedule(tmp_path, task={"noise": 0.5})


def test_a_sweep_without_the_metric_is_refused(tmp_path):
    raysweep.run(
        {
            "name": "old",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "seeds": 1,
        },
        store=tmp_path,
        inline=True,
    )
    with pytest.raises(SpecError, match=r"search.from: sweep 'old' has no metric.regret"):
        schedule(tmp_path, select={"metric": "regret"})

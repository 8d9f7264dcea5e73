"""Early stopping end to end: packs ask, configurations leave, the store tells why."""

import time

import psutil
import pytest

import raysweep
from raysweep.scheduling.scheduler import Schedule
from raysweep.search.judge import Judge
from raysweep.store.decisions import batches
from raysweep.sweepfile.reader import read_spec

ASHA = {"pruner": "asha", "grace": 3, "reduction": 3}


def bowl(**keys):
    """A grid of nine places in the bowl, whose best is x = 0.3."""
    places = [-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5]
    return {
        "name": "bowls",
        "tasks": {"bowl": {"task": "bowl", "x": places, "y": -0.4}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 3,
        "early_stopping": ASHA,
        **keys,
    }


def ends(results):
    """How each configuration's runs ended: status and steps."""
    found = {}
    for row in results.runs().to_pylist():
        found.setdefault(row["param.task.x"], set()).add((row["status"], row["steps"]))
    return found


def metrics(results):
    """Final metrics of every run that went to its end."""
    return {
        row["run_id"]: (row["metric.train_loss"], row["metric.regret"])
        for row in results.runs().to_pylist()
        if row["status"] == "done"
    }


def test_a_third_goes_on_at_each_rung_with_all_its_seeds(sweep):
    found = ends(sweep(bowl(resources={"pack": 27})))
    assert found[0.3] == {("done", 27)}
    assert all(len(each) == 1 for each in found.values())
    assert sorted(each for one in found.values() for each in one) == [
        ("done", 27),
        *[("stopped", 3)] * 6,
        *[("stopped", 9)] * 2,
    ]


def test_a_stopped_run_keeps_the_metrics_it_had(inline):
    results = inline(bowl())
    pairs = results.sql(
        """select r."metric.train_loss" as had, c.train_loss as then from runs r
        join curves c on c.run_id = r.run_id and c.step = r.steps where r.status = 'stopped'"""
    ).to_pylist()
    assert len(pairs) > 0
    assert all(each["had"] == each["then"] for each in pairs)
    beyond = "select count(*) as n from curves c join runs r using (run_id) where c.step > r.steps"
    assert results.sql(beyond)["n"].to_pylist() == [0]


def test_the_numbers_of_those_that_stay_do_not_depend_on_those_that_leave(inline):
    stopped = metrics(inline(bowl(resources={"pack": 27})))
    whole = metrics(inline(bowl(early_stopping=None), store="whole"))
    assert len(stopped) == 3
    assert {key: whole[key] for key in stopped} == stopped


def test_a_study_is_told_pruned_and_where(inline):
    results = inline(bowl(search={"sampler": "tpe", "configurations": 9}))
    schedule = Schedule(results.spec, results.store)
    told = [(trial.state.name, trial.last_step) for trial in schedule.arms[0].study.study.trials]
    by_configuration = {
        row["configuration_id"]: (row["status"], row["steps"]) for row in results.runs().to_pylist()
    }
    expected = {
        "done": lambda steps: ("COMPLETE", None),
        "stopped": lambda steps: ("PRUNED", steps),
    }
    assert sorted(told, key=str) == sorted(
        (expected[status](steps) for status, steps in by_configuration.values()), key=str
    )


def test_the_decisions_can_be_followed_from_the_store(inline):
    results = inline(bowl())
    taken = batches(results.store.dataset("decisions").to_table())
    again = []
    judge = Judge(results.spec.early_stopping, again.extend)
    runs = {}
    for row in results.runs().to_pylist():
        runs.setdefault(row["configuration_id"], []).append(row["run_id"])
    for key, run_ids in runs.items():
        judge.opened("arm", results.spec.arms[0].length, key, run_ids)
    for sitting in taken:
        values = {run: each.value for each in sitting for run in runs[each.configuration_id]}
        judge.ask(sitting[0].step, values, sitting[0].last)
    assert again == [each for sitting in taken for each in sitting]


def test_arms_are_judged_apart(inline):
    """The second arm's losses are a hundredfold, in a valley of its own."""
    tasks = bowl()["tasks"]
    far = {"bowl": {"task": "bowl", "x": [10.0, 12.0, 14.0], "y": -0.4}}
    alone = ends(inline(bowl(), store="near"))
    both = inline(bowl(tasks={**tasks, "far": far["bowl"]}), store="both")
    assert {x: each for x, each in ends(both).items() if x < 2} == alone
    assert ends(both)[10.0] == {("done", 27)}


def test_a_diverged_seed_takes_its_configuration_along(inline, toy, trouble):
    trouble.make(nan=[1], at=7)
    spec = toy(trouble.task, early_stopping={"pruner": "asha", "grace": 10}, resources={"pack": 6})
    rows = inline(spec).runs().to_pylist()
    assert {(row["seed"], row["status"], row["steps"]) for row in rows} == {
        (0, "stopped", 10),
        (1, "diverged", 10),
        (2, "stopped", 10),
    }


def test_a_seed_that_fails_for_good_fails_its_configuration_and_the_search_goes_on(
    inline, toy, trouble
):
    trouble.make(**{"raise": [1]})
    spec = toy(
        trouble.task,
        training={"lr": {"low": 0.1, "high": 0.9}},
        search={"sampler": "tpe", "configurations": 5},
        early_stopping={"pruner": "median", "grace": 10},
        resources={"max_failures": 1},
    )
    results = inline(spec)
    rows = results.runs().to_pylist()
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(rows) == 15
    assert len(failed) == 5
    assert all("this seed is unlucky" in row["error"] for row in failed)
    schedule = Schedule(results.spec, results.store)
    assert {t.state.name for t in schedule.arms[0].study.study.trials} == {"FAIL"}
    assert schedule.missing == 0


def test_early_stopping_added_later_compares_with_the_curves_of_what_ended(inline):
    best = {"bowl": {"task": "bowl", "x": [0.2, 0.3, 0.4], "y": -0.4}}
    inline(bowl(tasks=best, early_stopping=None))
    results = inline(bowl(tasks={"bowl": {**best["bowl"], "x": [0.2, 0.3, 0.4, 1.5]}}))
    assert ends(results)[1.5] == {("stopped", 3)}
    assert ends(results)[0.3] == {("done", 27)}


def test_what_was_decided_is_found_in_the_curves_where_the_decisions_are_lost(inline):
    def decided(results):
        rows = results.sql("select * from decisions order by configuration_id, step").to_pylist()
        return {
            (row["configuration_id"], row["step"], row["stopped"], row["last"]): row["value"]
            for row in rows
        }

    results = inline(bowl())
    before = decided(results)
    results.store.files.remove_folder("decisions")
    more = bowl()
    more["tasks"]["bowl"]["x"] = [*more["tasks"]["bowl"]["x"], 3.0]
    after = decided(inline(more))
    assert {key: after.get(key) for key in before} == pytest.approx(before, rel=1e-12)


def test_seeds_in_packs_of_their_own_still_leave_together(inline):
    found = inline(bowl(resources={"pack": 1}))
    for statuses in (
        {row["status"] for row in found.runs().to_pylist() if row["param.task.x"] == x}
        for x in (-0.9, 1.5)
    ):
        assert "stopped" in statuses
    schedule = Schedule(found.spec, found.store)
    assert schedule.missing == 0
    assert found.table().cells[0].settings == {"task.x": 0.3}


def test_a_stopped_configuration_gets_no_more_seeds(inline):
    inline(bowl())
    results = inline(bowl(seeds=5))
    counted = results.sql(
        """select status, count(*) as n from runs group by all order by status"""
    ).to_pylist()
    assert counted == [{"status": "done", "n": 5}, {"status": "stopped", "n": 24}]


def test_racing_end_to_end(inline):
    results = inline(bowl(seeds=6, early_stopping={"pruner": "racing"}))
    rows = results.runs().to_pylist()
    assert len(rows) == 9 * 6
    assert {row["steps"] for row in rows if row["status"] == "done"} == {27}
    assert {row["steps"] for row in rows if row["status"] == "stopped"} == {0}
    assert results.table().cells[0].settings["task.x"] in (0.0, 0.3, 0.6)
    again = raysweep.open(results.store.store.uri, "bowls")
    assert Schedule(read_spec(bowl(seeds=6)), again.store).missing == 0


def test_another_metric_judges_by_its_own_values(inline):
    """Heights are at odds with losses, and larger ones are better."""
    inline(bowl())
    after = bowl(select={"metric": "height"})
    after["tasks"]["bowl"] = {"task": "bowl", "x": 0.3, "y": [-0.4, 0.5, 0.9]}
    results = inline(after)
    kept = results.sql("select distinct \"param.task.y\" as y from runs where status = 'done'")
    assert 0.9 in kept["y"].to_pylist()
    metrics = results.sql("select distinct metric from decisions order by metric")
    assert metrics["metric"].to_pylist() == ["height", "train_loss"]


@pytest.mark.ray
def test_the_process_that_judges_ends_with_its_sweep(shared_ray, tmp_path):
    def judges():
        titles = [process.name() for process in psutil.Process().children(recursive=True)]
        return [title for title in titles if title.startswith("ray::Stored")]

    raysweep.run(bowl(resources={"pack": 27}), store=tmp_path / "store", quiet=True)
    until = time.monotonic() + 30
    while judges() and time.monotonic() < until:
        time.sleep(0.1)
    assert not judges()

"""Budgets, batches, and whose turn it is."""

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from search_helpers import Driver, bowl, regret

RANDOM = {"sampler": "random", "configurations": 50}


def seeds_of(search, report):
    return {"search": search, "report": report} if report else search


def shuffled(driver, order, trouble=0.0):
    """Ends packs in a random order, several in flight; some seeds diverge."""
    flying = []
    while True:
        pack = driver.take()
        if pack is not None:
            flying.append(pack)
        if not flying:
            break
        if pack is None or order.random() < 0.4:
            ended = flying.pop(order.randrange(len(flying)))
            bad = {f"s{run.seed}": "diverged" for run in ended.runs if order.random() < trouble}
            driver.end(ended, **bad)
    driver.schedule.save()
    return driver


def ran(driver):
    return sum(row["steps"] > 0 for row in driver.rows)


@given(
    extra=st.integers(0, 20),
    seeds=st.integers(1, 4),
    report=st.integers(0, 3),
    arms=st.integers(1, 3),
    whose=st.sampled_from(["sweep", "arm", "both"]),
    sampler=st.sampled_from(["random", "nsga"]),
    racing=st.booleans(),
    pack=st.sampled_from([1, 2, 64]),
    order=st.integers(0, 10**6),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
# A seed diverges and ends its configuration while another seed of it trains in another pack.
@example(
    extra=6,
    seeds=3,
    report=0,
    arms=1,
    whose="sweep",
    sampler="random",
    racing=True,
    pack=2,
    order=17,
)
@example(
    extra=0, seeds=3, report=3, arms=2, whose="arm", sampler="random", racing=True, pack=2, order=17
)
def test_a_budget_of_runs_is_never_exceeded(
    tmp_path_factory, *, extra, seeds, report, arms, whose, sampler, racing, pack, order
):
    least = seeds + report
    limit = extra + least + (arms - 1) * report
    own = {"sweep": {"runs": limit}, "arm": {"arm": {"runs": limit}}}
    budget = {"runs": limit, "arm": {"runs": least + extra // 2}} if whose == "both" else own[whose]
    more = {"early_stopping": {"pruner": "racing"}} if racing and seeds > 2 else {}
    search = {"sampler": "random"} if sampler == "random" else {"sampler": "tpe"}
    spec = bowl(search, arms=arms, seeds=seeds_of(seeds, report), budget=budget, **more)
    driver = Driver(tmp_path_factory.mktemp("budget"), spec, workers=3, pack=pack)
    shuffled(driver, random.Random(order), trouble=0.1)
    per_arm = {}
    for row in driver.rows:
        per_arm[row["estimator"]] = per_arm.get(row["estimator"], 0) + (row["steps"] > 0)
    if spec.budget.runs:
        # A report is bound to happen for each arm that found anything at all.
        assert ran(driver) <= spec.budget.runs
    if spec.arm_budget.runs:
        assert max(per_arm.values(), default=0) <= spec.arm_budget.runs


@given(st.integers(6, 20), st.integers(1, 12), st.integers(1, 3), st.integers(0, 2))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_raised_budget_goes_on_and_is_not_exceeded(tmp_path_factory, limit, more, seeds, report):
    """Whatever is selected after the extension: its fresh seeds count too."""
    folder = tmp_path_factory.mktemp("budget")

    def better(settings, seed):  # every later session finds better places than those before
        return regret(settings) - len(told)

    told = []
    for extra in (0, more, 2 * more):
        budget = {"runs": limit + extra}
        spec = bowl({"sampler": "random"}, seeds=seeds_of(seeds, report), budget=budget)
        driver = Driver(folder, spec, better).run()
        told.append(ran(driver))
        assert told[-1] <= limit + extra
    assert told == sorted(told)


def test_a_budget_is_used_up_as_far_as_whole_configurations_go(tmp_path):
    spec = bowl({"sampler": "random"}, seeds={"search": 3, "report": 4}, budget={"runs": 20})
    assert ran(Driver(tmp_path, spec).run()) == 5 * 3 + 4


def test_raising_a_budget_runs_only_what_is_new(tmp_path):
    def spec(runs):
        return bowl({"sampler": "random"}, seeds=3, budget={"runs": runs})

    first = Driver(tmp_path, spec(9)).run()
    second = Driver(tmp_path, spec(15)).run()
    assert len(first.began) == 9
    assert len(second.began) == 6


def test_a_budget_bounds_the_configurations_and_they_it(tmp_path):
    spec = bowl({**RANDOM, "configurations": 2}, seeds=3, budget={"runs": 100})
    assert ran(Driver(tmp_path, spec).run()) == 6


def test_arms_share_a_budget_evenly(tmp_path):
    spec = bowl({"sampler": "random"}, arms=3, seeds=2, budget={"runs": 18})
    rows = Driver(tmp_path, spec).run().rows
    counts = [sum(row["estimator"] == f"E{place}" for row in rows) for place in range(3)]
    assert counts == [6, 6, 6]


@pytest.mark.parametrize("key", ["hours", "arm"])
def test_hours_stop_opening_when_they_are_used(tmp_path, key):
    """Every run takes a second here; an hour's two thousandth part has room for one or two."""
    hours = 10 / 3600
    budget = {"hours": hours} if key == "hours" else {"arm": {"hours": hours}}
    spec = bowl({"sampler": "tpe"}, seeds=1, budget=budget)
    driver = Driver(tmp_path, spec).run()
    assert ran(driver) == 10
    again = Driver(tmp_path, spec).run()
    assert again.began == []


def test_no_hours_open_nothing(tmp_path):
    spec = bowl({"sampler": "random"}, seeds=1, budget={"hours": 0.0})
    driver = Driver(tmp_path, spec).run()
    assert ran(driver) <= 4  # before anything ended, nobody knows what a run takes


@given(batch=st.integers(1, 4), arms=st.integers(1, 2), order=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_more_configurations_are_open_than_the_batch(tmp_path_factory, batch, arms, order):
    search = {"sampler": "tpe", "configurations": 8, "batch": batch}
    driver = Driver(tmp_path_factory.mktemp("batch"), bowl(search, arms=arms, seeds=2), workers=4)
    order = random.Random(order)
    flying = []
    while True:
        assert all(len(each.open) <= batch for each in driver.schedule.arms)
        pack = driver.take()
        flying += [pack] if pack else []
        if not flying:
            break
        if pack is None or order.random() < 0.5:
            driver.end(flying.pop(order.randrange(len(flying))))
    assert len(driver.rows) == 8 * 2 * arms


@pytest.mark.parametrize(("configurations", "opened"), [(5, 1), (20, 2), (45, 4)])
def test_by_default_a_tenth_of_the_configurations_is_in_flight(tmp_path, configurations, opened):
    search = {"sampler": "tpe", "configurations": configurations}
    driver = Driver(tmp_path, bowl(search))
    assert len(driver.schedule.arms[0].open) == opened


@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_worker_idles_while_an_arm_can_propose(tmp_path, arms, seeds):
    search = {"sampler": "tpe", "configurations": 20}
    driver = Driver(tmp_path, bowl(search, arms=arms, seeds=seeds), workers=4)
    order = random.Random(0)
    flying = []
    for _ in range(40):
        while len(flying) < 4:
            pack = driver.take()
            if pack is None:
                break
            flying.append(pack)
        if all(each.exhausted for each in driver.schedule.arms):
            break
        assert len(flying) == 4
        driver.end(flying.pop(order.randrange(4)))


def test_a_worker_does_not_idle_behind_packs_that_left_the_plan(tmp_path):
    """A diverged seed closes its configuration under racing: what else waits of it is dropped."""
    search = {"sampler": "tpe", "configurations": 20}
    spec = bowl(search, seeds=9, early_stopping={"pruner": "racing", "start": 6})
    driver = Driver(tmp_path, spec, workers=4, pack=1)
    flying = [driver.take() for _ in range(7)]
    bad = flying[0].runs[0].configuration_id
    first = next(each for each in flying if each.runs[0].configuration_id == bad)
    flying.remove(first)
    driver.end(first, **{f"s{first.runs[0].seed}": "diverged"})
    for _ in range(60):
        if any(run.run_id in driver.schedule.planned for p in flying for run in p.runs):
            break
    while len(flying) > 3:
        driver.end(flying.pop(0))
    assert driver.take() is not None


def test_two_arms_that_share_a_space_keep_all_workers_busy(tmp_path):
    """What one arm proposes the other has run: it must propose on, not leave a worker idle."""
    from raysweep.sweepfile.reader import read_spec

    same = {"A": {"estimator": "straight_through"}, "B": {"estimator": "straight_through"}}
    spec = read_spec(
        {
            "name": "shared",
            "tasks": {"bowl": {"task": "bowl", "x": {"low": -1.0, "high": 1.0}}},
            "estimators": same,
            "seeds": 1,
            "search": {"sampler": "tpe", "configurations": 20, "n_startup_trials": 20},
        }
    )
    driver = Driver(tmp_path, spec, workers=4)
    flying = [driver.take() for _ in range(4)]
    assert None not in flying


def test_arms_take_turns(tmp_path):
    spec = bowl({**RANDOM, "configurations": 6}, arms=3, seeds=1)
    driver = Driver(tmp_path, spec, workers=3, pack=1)
    arms = [driver.take().arm[1] for _ in range(9)]
    assert all(sorted(arms[each : each + 3]) == ["E0", "E1", "E2"] for each in (0, 3, 6))

"""Racing: who loses, who gets more seeds, and what is put down of it."""

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from search_helpers import Driver, bowl

from raysweep.scheduling.racing import clearly_worse, rounds
from raysweep.sweepfile.reader import read_spec

RANDOM = {"sampler": "random", "configurations": 6}
TPE = {"sampler": "tpe"}
RACING = {"pruner": "racing", "start": 2}


def student_tail(t, freedom):
    """P(T > t), by integrating Student's density."""
    scale = math.gamma((freedom + 1) / 2) / (math.gamma(freedom / 2) * math.sqrt(freedom * math.pi))
    body, _ = integrate.quad(
        lambda x: scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2), 0, abs(t)
    )
    return 0.5 - body if t > 0 else 0.5 + body


def p_value(losses):
    """Of the one-sided paired t-test."""
    n = len(losses)
    mean = sum(losses) / n
    variance = sum((each - mean) ** 2 for each in losses) / (n - 1)
    return student_tail(mean / math.sqrt(variance / n), n - 1)


def by_seed(values):
    return dict(enumerate(values))


CASES = [
    ([1.0, 2.0], [0.0, 0.0]),
    ([1.0, 1.1], [0.0, 0.0]),
    ([0.0, 3.0, 0.5], [0.1, 0.2, 0.3]),
    ([5.0, 5.1, 4.9, 5.2], [4.0, 4.2, 4.1, 4.05]),
    ([0.0, 0.1], [1.0, 1.2]),
]


@pytest.mark.parametrize(("challenger", "incumbent"), CASES)
@pytest.mark.parametrize("side", [0.999, 1.001])
def test_a_configuration_loses_where_students_p_value_is_below_the_threshold(
    challenger, incumbent, side
):
    p = p_value([a - b for a, b in zip(challenger, incumbent, strict=True)])
    found = clearly_worse(by_seed(challenger), [by_seed(incumbent)], "min", p * side)
    assert found == (side > 1)


@pytest.mark.parametrize(("challenger", "incumbent"), CASES)
@pytest.mark.parametrize("p", [0.01, 0.1, 0.4, 0.9])
def test_the_direction_turns_every_sign(challenger, incumbent, p):
    turned = [by_seed([-each for each in values]) for values in (challenger, incumbent)]
    assert clearly_worse(by_seed(challenger), [by_seed(incumbent)], "min", p) == clearly_worse(
        turned[0], [turned[1]], "max", p
    )


@pytest.mark.parametrize(
    ("own", "best", "loses"), [(1.0, 1.0, False), (2.0, 1.0, True), (0.5, 1.0, False)]
)
def test_without_spread_the_difference_alone_decides(own, best, loses):
    found = clearly_worse(by_seed([own] * 3), [by_seed([best] * 3)], "min", 0.1)
    assert found == loses


def test_alone_nothing_loses():
    assert not clearly_worse(by_seed([9.0, 9.0]), [], "min", 0.1)


def test_rivals_that_lack_a_seed_are_no_rivals():
    assert not clearly_worse(by_seed([9.0, 9.1, 9.2]), [by_seed([0.0, 0.0])], "min", 0.1)


def test_the_incumbent_is_the_one_with_the_most_seeds():
    few, many = by_seed([0.0, 0.0]), by_seed([5.0, 5.1, 5.2, 5.3])
    assert not clearly_worse(by_seed([5.0, 5.1]), [few, many], "min", 0.1)
    assert clearly_worse(by_seed([5.0, 5.1]), [few], "min", 0.1)


@given(st.integers(2, 9), st.integers(2, 60))
def test_rounds_double_until_all_seeds_are_in(start, seeds):
    found = rounds(start, seeds)
    assert found[0] == min(start, seeds)
    assert found[-1] == seeds
    assert all(b == min(2 * a, seeds) for a, b in itertools.pairwise(found))


def race(tmp_path, seeds=6, value=None, pack=64, **keys):
    spec = bowl({**RANDOM, **keys.pop("search", {})}, seeds=seeds, early_stopping=RACING, **keys)
    return Driver(tmp_path, spec, value, pack=pack)


def by_configuration(rows):
    found = {}
    for row in rows:
        found.setdefault(row["configuration_id"], {})[row["seed"]] = row
    return found


def test_every_configuration_ends_with_a_row_per_seed(tmp_path):
    found = by_configuration(race(tmp_path).run().rows)
    assert len(found) == 6
    assert all(sorted(rows) == list(range(6)) for rows in found.values())


def test_what_loses_has_stopped_rows_of_no_steps_for_its_other_seeds(tmp_path):
    found = by_configuration(race(tmp_path).run().rows)
    lost = [rows for rows in found.values() if any(r["status"] == "stopped" for r in rows.values())]
    assert lost
    for rows in lost:
        ran = [seed for seed, row in rows.items() if row["status"] == "done"]
        assert ran in ([0, 1], [0, 1, 2, 3])
        rest = [row for seed, row in rows.items() if seed not in ran]
        assert {(row["status"], row["steps"], row["metric.train_loss"]) for row in rest} == {
            ("stopped", 0, None)
        }


def test_the_best_configuration_is_never_stopped(tmp_path):
    found = by_configuration(race(tmp_path).run().rows)
    best = min(found.values(), key=lambda rows: rows[0]["metric.train_loss"])
    assert {row["status"] for row in best.values()} == {"done"}


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_restart_neither_repeats_nor_loses_a_row(tmp_path, cut):
    race(tmp_path).run(cut)
    again = race(tmp_path).run()
    run_ids = [row["run_id"] for row in again.rows]
    assert len(run_ids) == len(set(run_ids)) == 36
    files = again.store.files.names("runs", ".parquet")
    third = race(tmp_path).run()
    assert third.store.files.names("runs", ".parquet") == files
    assert third.began == []


def test_a_configuration_with_a_diverged_seed_gets_no_more_seeds(tmp_path):
    first = race(tmp_path)
    pack = first.take()
    bad = pack.runs[0].configuration_id
    first.end(pack, s1="diverged")
    first.run()
    rows = [row for row in first.rows if row["configuration_id"] == bad]
    assert {row["seed"] for row in rows} == {0, 1}


def test_a_configuration_with_a_diverged_seed_stays_closed_after_a_restart(tmp_path):
    first = race(tmp_path)
    first.end(first.take(), s1="diverged")
    first.run()
    assert race(tmp_path).run().began == []


def test_a_diverged_configuration_is_nobodys_incumbent(tmp_path):
    def value(settings, seed):
        if settings["task.x"] < 0:
            return "diverged" if seed == 1 else 0.0
        return 1.0 + settings["task.x"] * 0 + (seed % 2) * 1e-3

    found = by_configuration(race(tmp_path, value=value).run().rows)
    good = [rows for rows in found.values() if rows[1]["status"] != "diverged"]
    assert good
    assert all(row["status"] == "done" for rows in good for row in rows.values())


def test_added_seeds_run_only_where_nothing_was_lost(tmp_path):
    before = by_configuration(race(tmp_path, seeds=4).run().rows)
    alive = {
        key for key, rows in before.items() if {r["status"] for r in rows.values()} == {"done"}
    }
    second = race(tmp_path, seeds=8).run()
    run_ids = [row["run_id"] for row in second.rows]
    assert len(run_ids) == len(set(run_ids))
    new = {row["configuration_id"] for row in second.rows if row["seed"] >= 4}
    assert new <= alive
    best = min(alive, key=lambda key: before[key][0]["metric.train_loss"])
    statuses = {row["status"] for row in by_configuration(second.rows)[best].values()}
    assert statuses == {"done"}


def test_only_the_first_round_is_planned_before_results(tmp_path):
    first = race(tmp_path)
    seeds = {run.seed for pack in first.schedule.queue for run in pack.runs}
    assert seeds == {0, 1}


def test_the_study_is_told_the_mean_of_the_seeds_that_a_loser_had(tmp_path):
    first = race(tmp_path, search=TPE).run()
    (search,) = first.schedule.arms
    lost = {row["configuration_id"] for row in first.rows if row["status"] == "stopped"}
    means = {
        configuration_id: statistics.fmean(
            row["metric.train_loss"]
            for row in first.rows
            if row["configuration_id"] == configuration_id and row["status"] == "done"
        )
        for configuration_id in lost
    }
    told = {
        search.arm.configuration(trial.params).configuration_id: trial.value
        for trial in search.study.study.trials
    }
    assert len(lost) > 0
    assert {key: told[key] for key in lost} == pytest.approx(means, rel=1e-12)


def test_a_restarted_study_knows_the_same_of_losers(tmp_path):
    def told(driver):
        (search,) = driver.schedule.arms
        return {
            (trial.state.name, *trial.params.values(), *trial.intermediate_values.items())
            for trial in search.study.study.trials
        }

    first = race(tmp_path, search=TPE).run()
    assert told(race(tmp_path, search=TPE)) == told(first)


def test_what_loses_in_one_arm_is_not_lost_for_another_that_shares_it(tmp_path):
    """The first arm knows a better place, which is outside the second one's space."""
    estimators = {
        "wide": {"estimator": "straight_through", "temperature": [1.0, 2.0]},
        "narrow": {"estimator": "straight_through", "temperature": 2.0},
    }
    spec = read_spec(
        {
            "name": "shared",
            "tasks": {"bowl": {"task": "bowl"}},
            "estimators": estimators,
            "seeds": 6,
            "early_stopping": RACING,
        }
    )
    value = lambda settings, seed: settings["estimator.temperature"] + 1e-3 * seed  # noqa: E731
    driver = Driver(tmp_path, spec, value).run()
    narrow = driver.schedule.arms[1]
    assert [each.values for each in narrow.closed.values()] == [(pytest.approx(2.0025),)]

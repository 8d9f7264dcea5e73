"""Selection on random small stores, against an obvious one over rows."""

import dataclasses
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.results.frame import RunFrame
from raysweep.results.selection import candidates, cells, choose
from raysweep.store import schema
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec

TEMPERATURES = [1.0, 2.0, 4.0, 8.0]
SPEC = read_spec(
    {
        "name": "hand",
        "tasks": {"A": {"task": "toy"}},
        "estimators": {
            "ST": {"estimator": "straight_through", "temperature": TEMPERATURES},
            "hot": {"estimator": "straight_through", "temperature": [4.0, 8.0]},
            "RF": {"estimator": "reinforce"},
        },
        "seeds": 3,
    }
)
(ARM, HOT, RF) = SPEC.arms
POINTS = [ARM.configuration({"estimator.temperature": each}) for each in TEMPERATURES]
LOST = ("diverged", "failed", "stopped")
HUGE, TINY, NONE = (1e308, 1.7e308, -1.7e308), (5e-324, 1e-310), (math.nan, None)


METRICS = st.floats(-3, 3) | st.sampled_from(
    [0.1, 0.2, 0.3, 0.6, 0.1 + 0.2, 1.0, 0.0, -0.0, 1e16, -1e16, *HUGE, *TINY, *NONE]
)
"""Values whose sums tie, exactly or but for rounding, of any size; or none."""


@st.composite
def stores(draw):
    """Rows of the arm's configurations on seeds of the search, fresh ones and others."""
    rows = []
    for configuration in draw(st.permutations(POINTS)):
        full = draw(st.booleans())
        seeds = st.lists(st.sampled_from([0, 1, 2, 2, 7, 100, 101]), unique=True)
        ended = st.sampled_from([*["done"] * (27 if full else 12), *LOST])
        for seed in (0, 1, 2, 100, 101) if full else draw(seeds):
            rows.append(row(configuration, seed, draw(ended), draw(METRICS), draw(METRICS)))
    return draw(st.permutations(rows)) if rows else rows


def row(configuration, seed, status, value, other):
    done = status == "done"
    return {
        "run_id": Run(configuration, seed).run_id,
        "seed": seed,
        "definition": ARM.definition,
        "status": status,
        "task_name": ARM.task,
        "estimator_name": ARM.estimator,
        "configuration_id": configuration.configuration_id,
        "metric.train_loss": value if done else None,
        "metric.distance": other if done else None,
        **{f"param.{key}": each for key, each in configuration.settings.items()},
    }


def obvious(rows, ids, seeds, fresh, mode):
    """Status, id, and values by seed of the reported metric, as the documentation says."""
    mine = {}
    for each in rows:
        if each["configuration_id"] in ids:
            mine.setdefault(each["configuration_id"], []).append(each)
    begun = {
        key: [each for each in own if each["seed"] in seeds]
        for key, own in mine.items()
        if any(each["seed"] in seeds for each in own)
    }
    lost = {
        status: [key for key, own in begun.items() if any(e["status"] == status for e in own)]
        for status in LOST
    }
    counts = (len(begun), *(len(lost[status]) for status in LOST))
    means = {
        key: mean([e["metric.train_loss"] for e in own if known(e["metric.train_loss"])])
        for key, own in begun.items()
        if key not in {each for keys in lost.values() for each in keys}
    }
    means = {key: each for key, each in means.items() if each is not None}
    eligible = {
        key: each
        for key, each in means.items()
        if {e["seed"] for e in begun[key]} == seeds
        and all(known(e["metric.train_loss"]) for e in begun[key])
    }
    pool = eligible or means
    if not pool:
        return (without(counts), None, {}, *counts)
    sign = 1 if mode == "min" else -1
    best = min(pool, key=lambda key: (sign * pool[key], key))
    shown = [e for e in mine[best] if e["seed"] in (fresh or seeds)]
    values = {e["seed"]: e["metric.distance"] for e in shown if e["status"] == "done"}
    values = {seed: each for seed, each in values.items() if known(each)}
    status = reported(shown, fresh, "selected" if eligible else "provisional")
    return (status, best, values if status in ("selected", "provisional") else {}, *counts)


def known(value):
    return value is not None and math.isfinite(value)


def mean(values):
    """The mean; of values whose sum is too large, the sum of their shares."""
    if not values:
        return None
    try:
        return statistics.fmean(values)
    except OverflowError:
        return math.fsum(each / len(values) for each in values)


def without(counts):
    total, diverged, failed, stopped = counts
    if diverged or failed:
        return "diverged" if diverged else "failed"
    if stopped and stopped == total:
        return "stopped"
    return "empty" if total else "missing"


def reported(shown, fresh, status):
    ended = [each["status"] for each in shown]
    if not fresh:
        return status
    if "diverged" in ended or "failed" in ended:
        return "diverged" if "diverged" in ended else "failed"
    if "done" not in ended:
        return "unreported"
    return status if ended.count("done") == len(fresh) else "provisional"


def table_of(rows):
    return RunFrame(schema.rows_table(rows, schema.runs_schema(SPEC)))


def found(rows, spec, mode):
    """What each arm's cell is, as `obvious` tells it."""
    given = cells(spec, table_of(rows), "train_loss", mode, "distance")
    return [
        (
            each.status,
            each.configuration_id,
            dict(each.values),
            each.configurations,
            *(getattr(each, status) for status in LOST),
        )
        for each in given
    ]


def expected(rows, spec, mode):
    return [
        obvious(
            rows,
            {arm.configuration(each).configuration_id for each in arm.cells()},
            set(spec.seeds),
            set(spec.report_seeds),
            mode,
        )
        for arm in spec.arms
    ]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("fresh", [(), (100, 101)], ids=["search", "fresh"])
@given(rows=stores())
def test_each_cell_is_what_the_rules_say(mode, fresh, rows):
    spec = dataclasses.replace(SPEC, report_seeds=fresh)
    assert found(rows, spec, mode) == expected(rows, spec, mode)


@settings(max_examples=30)
@given(rows=stores())
def test_seeds_named_twice_count_once(rows):
    twice = dataclasses.replace(SPEC, seeds=(0, 1, 2, 1), report_seeds=(100, 101, 100))
    once = dataclasses.replace(SPEC, report_seeds=(100, 101))
    assert found(rows, twice, "min") == expected(rows, once, "min")


@settings(max_examples=30)
@given(rows=stores())
def test_the_order_of_rows_changes_no_selection(rows):
    assert found(rows, SPEC, "min") == found(rows[::-1], SPEC, "min")


@settings(max_examples=30)
@given(rows=stores())
def test_a_cell_has_the_mean_and_deviation_of_its_values(rows):
    for each in cells(SPEC, table_of(rows), "train_loss", "min", "distance"):
        values = list(each.values.values())
        assert each.n == len(values)
        assert each.mean == mean(values)
        if len(values) > 1 and max(map(abs, values)) < 1e300:
            assert each.std == statistics.stdev(values)


@settings(max_examples=30)
@given(rows=stores())
def test_choosing_among_all_of_an_arms_candidates_selects_its_cell(rows):
    runs = table_of(rows)
    for each, own in zip(
        cells(SPEC, runs, "train_loss", "max", "distance"), candidates(SPEC, runs), strict=True
    ):
        chosen = choose(own, "train_loss", "max")
        assert (chosen[0].configuration_id if chosen else None) == each.configuration_id


def test_an_arm_chooses_among_its_own_points_only():
    values = [[1.0] * 3, [0.0] * 3, [3.0] * 3, [2.0] * 3]
    given = cells(SPEC, complete(values), "train_loss", "min", "distance")
    shown = {each.estimator: each.settings for each in given}
    assert shown["ST"] == {"estimator.temperature": 2.0}
    assert shown["hot"] == {"estimator.temperature": 8.0}
    assert shown["RF"] == {}


def complete(values):
    """Done runs: the values of each configuration, seed by seed."""
    return table_of(
        [
            row(configuration, seed, "done", value, 0.0)
            for configuration, own in zip(POINTS, values, strict=True)
            for seed, value in enumerate(own)
        ]
    )


@pytest.mark.parametrize(
    "values",
    [
        [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1], [0.1, 0.3, 0.2]],
        [[1e16, 1.0, -1e16], [1.0, 1e16, -1e16], [-1e16, 1.0, 1e16], [1e16, -1e16, 1.0]],
        [[5e-324, 0.0, 0.0], [0.0, 5e-324, 0.0], [0.0, 0.0, 5e-324], [5e-324, 0.0, 0.0]],
        [[1e308] * 3] * 4,
    ],
    ids=["rounding", "cancelling", "tiny", "huge"],
)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_tie_in_any_order_of_seeds_goes_to_the_smaller_id(values, mode):
    first, *_ = cells(SPEC, complete(values), "train_loss", mode, "distance")
    assert first.configuration_id == min(each.configuration_id for each in POINTS)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("middle", [0.3, 1e-300, 1e300, -1e16])
def test_the_last_digit_decides(middle, place):
    values = [[middle] * 3 for _ in POINTS]
    values[place] = [math.nextafter(middle, -math.inf)] * 3
    first, *_ = cells(SPEC, complete(values), "train_loss", "min", "distance")
    assert first.configuration_id == POINTS[place].configuration_id


def test_a_value_that_is_not_finite_is_none():
    values = [[1.0, math.inf, 1.0], [5.0] * 3, [-math.inf] * 3, [6.0] * 3]
    first, *_ = cells(SPEC, complete(values), "train_loss", "min", "distance")
    assert (first.status, first.configuration_id) == ("selected", POINTS[1].configuration_id)

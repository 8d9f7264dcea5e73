"""The judge of early stopping: who is stopped, in which order, and after a restart."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_helpers import stopping

from raysweep.search.judge import Judge
from raysweep.search.pruners import Rungs

LENGTH = (27, 1)


def judge_of(how, names, arms=("A",), seeds=1, length=LENGTH):
    """A judge that knows configurations of some arms, and what it puts down."""
    batches = []
    judge = Judge(how, lambda decisions: batches.append(list(decisions)))
    for arm in arms:
        for name in names:
            runs = [f"{arm}{name}/{seed}" for seed in range(seeds)]
            judge.opened(arm, length, arm + name, runs)
    return judge, batches


def ask(judge, step, values, last=False):
    """Configurations of arm A with one seed each; names of those that leave."""
    left = judge.ask(step, {f"A{key}/0": value for key, value in values.items()}, last)
    return {each[1:-2] for each in left}


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("reduction", [2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_of_a_rung_that_is_reached_together_asha_keeps_the_best_share(n, reduction, mode):
    keep = max(1, n // reduction)
    for ranks in itertools.permutations(range(n)):
        names = dict(zip("abcdefg", ranks, strict=False))
        judge, _ = judge_of(stopping("asha", mode, grace=1, reduction=reduction), names)
        left = ask(judge, 1, {key: float(rank) for key, rank in names.items()})
        best = sorted(names, key=names.get, reverse=mode == "max")[:keep]
        assert names.keys() - left == set(best)


def test_asha_keeps_the_best_share_of_every_later_rung_too():
    names = [f"{place:02d}" for place in range(27)]
    judge, _ = judge_of(stopping("asha", grace=1, reduction=3), names)
    alive = {name: float(name) for name in names}
    for step, left in ((1, 9), (3, 3), (9, 1)):
        for name in ask(judge, step, alive):
            del alive[name]
        assert sorted(alive) == names[:left]


def test_a_configuration_is_judged_against_all_that_came_before_it():
    judge, _ = judge_of(stopping("asha", grace=1, reduction=2), "abcd")
    assert [ask(judge, 1, {key: value}) for key, value in zip("abcd", (4, 3, 5, 1), strict=True)]
    assert ask(judge, 1, {"a": 4.0}) == set()
    assert ask(judge, 1, {"c": 5.0}) == {"c"}


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=6),
    st.sampled_from(["asha", "hyperband", "median", "patient"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=30, deadline=None)
def test_one_arm_never_depends_on_another(values, pruner, order):
    """The other arm's values are scaled by a hundred: this one's decisions stay."""
    how = stopping(pruner, grace=1)
    found = []
    for scale in (1.0, 100.0):
        names = [f"{place}" for place in range(len(values))]
        judge, _ = judge_of(how, names, arms=("A", "B"))
        left = []
        for step in (1, 3, 9):
            own = {f"A{key}/0": value * step for key, value in zip(names, values, strict=True)}
            other = {f"B{key}/0": order.random() * scale for key in names}
            left.append({each for each in judge.ask(step, {**own, **other}, False) if "A" in each})
        found.append(left)
    assert found[0] == found[1]


def test_seeds_spread_over_packs_are_judged_when_the_last_arrives():
    judge, batches = judge_of(stopping("asha", grace=1, reduction=2), "ab", seeds=3)
    judge.ask(1, {f"Aa/{seed}": 0.0 for seed in range(3)}, False)
    assert judge.ask(1, {"Ab/0": 5.0}, False) == []
    assert judge.ask(1, {"Ab/2": 6.0}, False) == []
    assert len(batches) == 1
    assert judge.ask(1, {"Ab/1": 7.0}, False) == ["Ab/1"]
    assert batches[1][0].value == 6.0


def test_seeds_in_other_packs_leave_when_they_ask_next():
    judge, batches = judge_of(stopping("asha", grace=1, reduction=2), "ab", seeds=2)
    judge.ask(1, {"Aa/0": 0.0, "Aa/1": 0.0}, False)
    judge.ask(1, {"Ab/0": 5.0}, False)
    judge.ask(1, {"Ab/1": 5.0}, False)
    assert judge.ask(3, {"Ab/0": 0.0}, False) == ["Ab/0"]
    assert len(batches) == 2


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median", "patient"])
def test_a_diverged_seed_stops_its_siblings(pruner):
    judge, batches = judge_of(stopping(pruner, grace=1), "ab", seeds=2)
    assert judge.ask(1, {"Aa/0": None, "Aa/1": 0.0, "Ab/0": 9.0}, False) == ["Aa/1"]
    assert [(each.configuration_id, each.value) for each in batches[0]] == [("Aa", None)]


def test_a_configuration_with_a_diverged_seed_competes_with_nobody():
    judge, _ = judge_of(stopping("asha", grace=1, reduction=2), "abc")
    assert ask(judge, 1, {"a": None, "b": 3.0}) == set()
    assert ask(judge, 1, {"c": 4.0}) == {"c"}


@pytest.mark.parametrize("last", [False, True])
def test_asked_again_the_answer_is_the_same_and_nothing_is_recorded_twice(last):
    judge, batches = judge_of(stopping("asha", grace=1, reduction=2), "abcd")
    values = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    first = ask(judge, 1, values)
    assert first == {"a", "b"}
    for _ in range(2):
        assert ask(judge, 1, values, last) == first
    assert len(batches) == 1


def test_nothing_is_answered_that_could_not_be_recorded():
    def broken(decisions):
        raise OSError("disk full")

    judge = Judge(stopping("asha", grace=1), broken)
    judge.opened("A", LENGTH, "Aa", ["Aa/0"])
    with pytest.raises(OSError, match="disk full"):
        judge.ask(1, {"Aa/0": 1.0}, False)
    assert not judge._stopped


def test_a_decision_that_could_not_be_recorded_may_be_made_again():
    written, fail = [], [True]

    def record(decisions):
        if fail.pop() if fail else False:
            raise OSError("disk full")
        written.append(list(decisions))

    judge = Judge(stopping("asha", grace=1, reduction=2), record)
    for name in "ab":
        judge.opened("A", LENGTH, "A" + name, [f"A{name}/0"])
    with pytest.raises(OSError, match="disk full"):
        ask(judge, 1, {"a": 1.0, "b": 2.0})
    assert ask(judge, 1, {"a": 1.0, "b": 2.0}) == {"b"}
    assert len(written) == 1


def test_runs_that_no_configuration_has_are_never_judged():
    judge, batches = judge_of(stopping("asha", grace=1), "a")
    assert judge.ask(1, {"fresh/1000000": 9.0}, False) == []
    assert batches == []


def test_one_that_two_arms_share_is_stopped_only_if_both_would():
    judge, _ = judge_of(stopping("asha", grace=1, reduction=2), "ab")
    for name in ("Aa", "Bc"):
        judge.opened("B", LENGTH, name, [f"{name}/0"])
    values = {"Aa/0": 2.0, "Ab/0": 1.0, "Bc/0": 3.0}
    assert judge.ask(1, values, False) == ["Bc/0"]


def test_median_stops_nothing_before_enough_configurations_ended():
    judge, _ = judge_of(stopping("median", grace=1, n_startup_trials=3), "abcd")
    for name in "ab":
        assert ask(judge, 1, {name: 1.0}) == set()
        ask(judge, 27, {name: 1.0}, last=True)
    assert ask(judge, 1, {"d": 9.0}) == set()
    ask(judge, 1, {"c": 1.0})
    ask(judge, 27, {"c": 1.0}, last=True)
    assert ask(judge, 2, {"d": 9.0}) == set()  # nobody has a value there
    assert ask(judge, 1, {"d": 9.0}) == set()  # decided before


@pytest.mark.parametrize(("mode", "left"), [("min", {"d"}), ("max", set())])
def test_median_stops_what_is_worse_than_the_median_of_those_that_ended(mode, left):
    judge, _ = judge_of(stopping("median", mode, grace=1, n_startup_trials=3), "abcd")
    for name, value in zip("abc", (1.0, 2.0, 3.0), strict=True):
        ask(judge, 1, {name: value})
        ask(judge, 27, {name: value}, last=True)
    assert ask(judge, 1, {"d": 2.5}) == left


@given(
    st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0]), min_size=1, max_size=8),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.6]),
    st.sampled_from(["min", "max"]),
)
@settings(max_examples=60, deadline=None)
def test_patient_stops_what_gained_nothing_for_so_many_rungs(curve, patience, min_delta, mode):
    sign = 1 if mode == "min" else -1
    how = stopping("patient", mode, grace=1, patience=patience, min_delta=min_delta)
    judge, _ = judge_of(how, "a")
    for n, value in enumerate(curve, start=1):
        old = [sign * each for each in curve[: max(0, n - patience - 1)]]
        new = [sign * each for each in curve[max(0, n - patience - 1) : n]]
        poor = bool(old) and min(old) + min_delta < min(new)
        assert (ask(judge, n, {"a": value}) == {"a"}) == poor
        if poor:
            break


def test_hyperbands_brackets_have_the_stated_shares():
    rungs = Rungs(stopping("hyperband", grace=1, reduction=3), 27, 1)
    n = 4000
    found = [rungs._bracket_of(f"c{place}") for place in range(n)]
    weights = [math.ceil(4 * 3**s / (s + 1)) for s in (3, 2, 1, 0)]
    for bracket, weight in enumerate(weights):
        share = weight / sum(weights)
        error = math.sqrt(share * (1 - share) / n)
        assert abs(found.count(bracket) / n - share) < 5 * error


def test_a_configuration_is_in_the_same_bracket_in_every_session():
    how = stopping("hyperband", grace=1, reduction=3)
    names = [f"c{place}" for place in range(50)]
    first, second = Rungs(how, 27, 1), Rungs(how, 27, 1)
    for name in reversed(names):
        second.enter(1, {name: 1.0})
    assert [first._bracket_of(name) for name in names] == [second._trials[n][0] for n in names]


def test_hyperbands_later_brackets_are_not_judged_before_their_first_rung():
    names = [f"{place}" for place in range(60)]
    judge, _ = judge_of(stopping("hyperband", grace=1, reduction=3), names)
    rungs = judge._arms["A"]
    left = ask(judge, 1, {name: float(name) for name in names})
    assert left
    assert {rungs._bracket_of("A" + name) for name in left} == {0}
    late = {name for name in names if rungs._bracket_of("A" + name) == 1}
    assert ask(judge, 3, {name: float(name) for name in late})


NAMES = "abcdef"


def asks_of(random_, pruner_steps=(1, 3, 9, 27)):
    """A random sequence of what packs ask: each goes up the rungs, a few runs at a time."""
    packs = []
    left = [f"A{name}/{seed}" for name in NAMES for seed in range(2)]
    random_.shuffle(left)
    while left:
        size = random_.randint(1, 5)
        packs.append((left[:size], iter(pruner_steps)))
        left = left[size:]
    while packs:
        pack = random_.choice(packs)
        step = next(pack[1], None)
        if step is None:
            packs.remove(pack)
            continue
        values = {
            run: None if random_.random() < 0.03 else round(random_.random() * 4) / 4
            for run in pack[0]
        }
        yield step, values, step == 27


def answers(judge, asks):
    return [judge.ask(*each) for each in asks]


@given(st.integers(0, 10**6), st.data())
@settings(max_examples=60, deadline=None)
def test_a_judge_restored_anywhere_goes_on_as_the_first_would(seed, data):
    pruner = data.draw(st.sampled_from(["asha", "hyperband", "median", "patient"]))
    mode = data.draw(st.sampled_from(["min", "max"]))
    how = stopping(pruner, mode, grace=1, **({"n_startup_trials": 1} if pruner == "median" else {}))
    asks = list(asks_of(random.Random(seed)))
    cut = data.draw(st.integers(0, len(asks)))
    first, batches = judge_of(how, NAMES, seeds=2)
    answers(first, asks[:cut])
    second, later = judge_of(how, NAMES, seeds=2)
    second.restore(batches)
    second._waiting = {key: dict(each) for key, each in first._waiting.items()}
    known = len(batches)
    assert answers(second, asks[cut:]) == answers(first, asks[cut:])
    assert later == batches[known:]


@given(st.integers(0, 10**6), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_a_judge_asked_again_after_its_restart_answers_as_before(seed, cut):
    how = stopping("asha", grace=1, reduction=2)
    asks = list(asks_of(random.Random(seed)))[:cut]
    first, batches = judge_of(how, NAMES, seeds=2)
    answers(first, asks)
    second, later = judge_of(how, NAMES, seeds=2)
    second.restore(batches)
    answers(second, asks)
    assert later == []
    assert second._stopped == first._stopped


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_what_was_decided_counts_for_an_arm_that_opens_the_configuration_later(pruner):
    """A grid opens what an earlier session ended only when its turn comes."""
    how = stopping(pruner, grace=1, **({"n_startup_trials": 2} if pruner == "median" else {}))
    names = [f"{place}" for place in range(12)]
    first, batches = judge_of(how, names)
    values = {name: float(name) for name in names}
    for name in names[:8]:
        ask(first, 1, {name: values[name]})
        ask(first, 27, {name: values[name]}, last=True)
    second, _ = judge_of(how, names[8:])
    second.restore(batches)
    for name in names[:8]:
        second.opened("A", LENGTH, "A" + name, [f"A{name}/0"])
    rest = {name: values[name] for name in names[8:]}
    assert ask(second, 1, rest) == ask(first, 1, rest)


def test_a_configuration_with_a_seed_that_failed_for_good_leaves_at_its_next_rung():
    judge, batches = judge_of(stopping("asha", grace=3, reduction=3), "ab", seeds=2)
    judge.lost("Aa/1")
    assert judge.ask(3, {"Aa/0": 0.0, "Ab/0": 1.0, "Ab/1": 1.0}, False) == ["Aa/0"]
    ((first, second),) = batches
    assert (first.value, first.stopped, second.value, second.stopped) == (None, True, 1.0, False)


def test_a_pack_that_comes_again_to_an_earlier_rung_stays_until_where_it_was_stopped():
    judge, _ = judge_of(stopping("asha", grace=3, reduction=3), "ab")
    ask(judge, 3, {"b": 1.0})
    ask(judge, 3, {"a": 0.0})
    assert ask(judge, 9, {"a": 0.0, "b": 1.0}) == {"b"}
    assert ask(judge, 3, {"a": 0.0, "b": 1.0}) == set()
    assert ask(judge, 9, {"a": 0.0, "b": 1.0}) == {"b"}

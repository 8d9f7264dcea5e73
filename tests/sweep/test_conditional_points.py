"""The points of small spaces with conditions, against all that there are, one by one."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import (
    Branches,
    Choice,
    Conditional,
    Fixed,
    Range,
    alternatives,
    cases,
    plain,
)
from raysweep.sweep.spec import Arm
from raysweep.sweepfile.arm_checks import corners
from raysweep.sweepfile.conditions import settled
from raysweep.sweepfile.document import Problems


@st.composite
def conditions(draw, possible):
    """Values that one or two of the settings must have."""
    keys = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=2, unique=True))
    wanted = st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True).map(tuple)
    return {key: draw(wanted) for key in keys}


@st.composite
def spaces(draw):
    """A space of a few settings, with conditions on those before them, in any order."""
    space = {}
    for name in "abcde"[: draw(st.integers(1, 5))]:
        several = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        own = Fixed(several[0]) if len(several) == 1 else Choice(tuple(several))
        own = draw(st.sampled_from([own, own, own, Range(1, 3, whole=True)]))
        possible = [key for key, each in space.items() if not isinstance(plain(each), Range)]
        if possible and draw(st.booleans()):
            otherwise = draw(st.integers(0, 3))
            own = Conditional(draw(conditions(possible)), own, otherwise)
            if draw(st.booleans()):
                another = draw(st.sampled_from([Fixed(1), Choice((0, 2)), Range(2, 3, whole=True)]))
                when = draw(st.sampled_from([{}, draw(conditions(possible))]))
                own = Branches((own, Conditional(when, another, otherwise)), otherwise)
        space[f"task.{name}"] = own
    return dict(draw(st.permutations(list(space.items()))))


def arm_with(space):
    return Arm("T", "E", "t", 1, "e", 1, space, dict.fromkeys(space, 0), frozenset())


def enumerated(space):
    """Every setting of all values that agrees with all conditions, one by one."""
    every = [set().union(*map(numbers, alternatives(each))) for each in space.values()]
    for values in itertools.product(*every):
        chosen = dict(zip(space, values, strict=True))
        if all(agrees(each, chosen[key], chosen) for key, each in space.items()):
            yield canonical_json(chosen)


def numbers(domain):
    return {number for number in range(4) if plain(domain).contains(number)}


def agrees(domain, value, chosen):
    for case in cases(domain):
        if all(chosen[key] in wanted for key, wanted in case.when.items()):
            return value in numbers(case.domain)
    return not cases(domain) or value == domain.otherwise


@given(spaces())
def test_cells_are_every_configuration_once(space):
    arm = arm_with(space)
    found = [canonical_json(dict(arm.configuration(cell).settings)) for cell in arm.cells()]
    assert sorted(found) == sorted(enumerated(space))
    assert arm.size == len(found)


@given(spaces())
def test_a_configuration_is_found_again(space):
    arm = arm_with(space)
    for cell in arm.cells():
        configuration = arm.configuration(cell)
        stored = json.loads(json.dumps(dict(configuration.settings)))
        assert arm.locate(configuration.configuration_id, stored) == cell


@given(spaces(), st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_settings_outside_the_space_are_no_point_of_it(space, values):
    chosen = dict(zip(space, values, strict=False))
    inside = arm_with(space).assignment(chosen) is not None
    assert inside == (canonical_json(chosen) in set(enumerated(space)))


@given(spaces())
def test_asking_setting_by_setting_reaches_the_cells(space):
    arm = arm_with(space)
    for last in (0, -1):
        chosen = {}
        for key in arm.searched:
            if arm.applies(key, chosen):
                domain = arm.domain(key, chosen)
                chosen[key] = sorted(numbers(domain))[last]
        assert chosen in list(arm.cells())


@given(spaces())
def test_corners_have_every_value_that_can_be(space):
    arm = arm_with(space)
    seen = {(key, value) for point in corners(arm) for key, value in point.items()}
    ends = {
        (key, value)
        for cell in arm.cells()
        for key, value in cell.items()
        if isinstance(inside := arm.domain(key, cell), Choice) or value in (inside.low, inside.high)
    }
    assert seen == ends


@given(spaces())
def test_a_settled_space_has_the_same_configurations(space):
    found = settled(space, {}, Problems())
    assert list(found) == list(space)
    assert sorted(enumerated(found)) == sorted(enumerated(space))


@given(spaces())
def test_conditions_that_are_left_hold_at_some_points_only(space):
    arm = arm_with(settled(space, {}, Problems()))
    for key, domain in arm.space.items():
        if isinstance(domain, Conditional):
            assert {arm.applies(key, cell) for cell in arm.cells()} == {True, False}


@given(spaces())
def test_an_arm_survives_plain_data(space):
    arm = arm_with(space)
    again = Arm.from_json(json.loads(json.dumps(arm.to_json())))
    assert again.space == arm.space
    assert list(again.cells()) == list(arm.cells())


@given(spaces())
def test_a_searched_setting_stands_after_those_that_decide_it(space):
    found = list(arm_with(space).searched)
    free = [key for key in found if not cases(space[key])]
    assert free == [key for key in space if key in free]
    for key in set(found) - set(free):
        deciding = [each for case in cases(space[key]) for each in case.when if each in found]
        assert all(found.index(key) > found.index(each) for each in deciding)


def test_the_size_of_a_large_space_is_not_counted_one_by_one():
    free = {f"task.{name}": Range(0, 10**6, whole=True) for name in "abcd"}
    inside = Conditional({"task.o": (1,)}, Range(1, 10, whole=True), 0)
    arm = arm_with({**free, "task.o": Choice((0, 1)), "task.m": inside})
    assert arm.size == (10**6 + 1) ** 4 * 11

"""Ranges with steps, and with a number of points."""

import math

import pytest

from raysweep.errors import SpecError
from raysweep.search.study import ArmStudy
from raysweep.sweep.options import Search, Select
from raysweep.sweep.space import Choice, Range
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.reader import read_spec

TPE = {"sampler": "tpe", "configurations": 30}
TENTHS = {"low": 0.1, "high": 1.0, "step": 0.1}
FOURS = {"low": 4, "high": 32, "step": 4}


def arm_of(search=TPE, training=(), **task):
    return spec_of(search, training, **task).arms[0]


def spec_of(search=TPE, training=(), **task):
    return read_spec(
        {
            "name": "ranges",
            "tasks": {"walk": {"task": "toy", **task}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": dict(training),
            "seeds": 1,
            "search": search,
        }
    )


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "qmc", "cmaes"])
def test_samplers_propose_the_values_of_a_range_with_steps(sampler):
    search = Search(sampler, 12)
    arm = arm_of({"sampler": sampler, "configurations": 12}, target=TENTHS, size=FOURS)
    study = ArmStudy(arm, search, Select())
    points = [study.propose().assignment for _ in range(12)]
    assert {point["task.target"] for point in points} <= {number / 10 for number in range(1, 11)}
    assert {point["task.size"] for point in points} <= set(range(4, 33, 4))


def test_a_value_on_a_step_is_the_number_as_a_reader_writes_it():
    assert [Range(0.1, 1.0, step=0.1).at(index) for index in range(4)] == [0.1, 0.2, 0.3, 0.4]


def test_a_range_with_steps_ends_at_its_last_step():
    assert arm_of(target={"low": 0.0, "high": 1.0, "step": 0.3}).space["task.target"].high == 0.9


def test_a_range_with_steps_has_a_number_of_points():
    assert arm_of(target=TENTHS, size=FOURS).size == 10 * 8


def test_a_grid_takes_every_step_of_a_range():
    assert arm_of("grid", size=FOURS).space["task.size"] == Choice((4, 8, 12, 16, 20, 24, 28, 32))


def test_a_range_with_steps_survives_plain_data():
    spec = spec_of(target=TENTHS)
    assert Spec.from_json(spec.to_json()).arms[0].space["task.target"] == Range(0.1, 1.0, step=0.1)


@pytest.mark.parametrize("search", ["grid", TPE])
def test_a_number_of_points_makes_a_list_of_choices(search):
    training = {"lr": {"low": 1e-5, "high": 0.1, "num": 5, "log": True}}
    assert arm_of(search, training).space["training.lr"] == Choice((1e-5, 1e-4, 1e-3, 0.01, 0.1))


def test_points_without_a_logarithm_have_equal_distances():
    domain = arm_of("grid", target={"low": 0, "high": 0.7, "num": 8}).space["task.target"]
    assert domain == Choice((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7))


def test_points_of_a_whole_setting_are_whole():
    domain = arm_of("grid", size={"low": 8, "high": 512, "num": 4, "log": True}).space["task.size"]
    assert domain == Choice((8, 32, 128, 512))


def test_points_stand_under_a_condition():
    training = {
        "optimizer": ["adam", "sgd"],
        "momentum": {"when": {"optimizer": "sgd"}, "low": 0.1, "high": 0.9, "num": 3},
    }
    assert arm_of("grid", training).size == 4


MISTAKES = {
    "step with log": ({**TENTHS, "log": True}, "step or log.*num: N"),
    "step of none": ({**TENTHS, "step": 0}, "step of 'target' above 0"),
    "step too large": ({**TENTHS, "step": 2}, "at most high - low, got 2"),
    "text for a step": ({**TENTHS, "step": "small"}, "target: step: expected a number"),
    "one point": ({"low": 0, "high": 1, "num": 1}, "num of 'target' from 2"),
    "step and num": ({**TENTHS, "num": 3}, "with log, step or num"),
    "range under grid": ({"low": 0, "high": 1}, "add num: N"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_a_range_is_told(name):
    given, message = MISTAKES[name]
    with pytest.raises(SpecError, match=message) as caught:
        arm_of("grid", target=given)
    assert len(caught.value.problems) == 1


def test_more_points_than_whole_numbers_are_refused():
    with pytest.raises(SpecError, match="num of 'size' to be at most 3"):
        arm_of("grid", size={"low": 1, "high": 3, "num": 9})


def test_points_differ_from_a_list_in_no_digit():
    points = arm_of("grid", target={"low": 1e-3, "high": 1.0, "num": 7, "log": True})
    for value in points.space["task.target"].values:
        assert value == float(f"{value:.12g}")
        assert math.isfinite(value)


FOREIGN = {
    "range of five points": (
        {"type": "loguniform", "min": 1e-5, "max": 0.1, "num": 5},
        "write {low: 1e-05, high: 0.1, num: 5, log: true}",
    ),
    "range": (
        {"distribution": "uniform", "min": 0, "max": 1},
        "write {low: 0, high: 1}",
    ),
    "range with steps": (
        {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1},
        "write {low: 0, high: 1, step: 0.1}",
    ),
    "list": ({"values": [8, 16]}, "write the list itself, [8, 16]"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_form_of_another_tool_is_translated(name):
    given, message = FOREIGN[name]
    with pytest.raises(SpecError) as caught:
        arm_of(target=given)
    assert str(caught.value).endswith(message)


def test_a_form_that_means_nothing_is_not_translated():
    with pytest.raises(SpecError, match=r"got \{min\}$"):
        arm_of(target={"min": 0})

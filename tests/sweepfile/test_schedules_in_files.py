"""Schedules of an estimator's settings, in sweep files."""

import pytest

from raysweep.errors import SpecError
from raysweep.sweep.space import Choice, Fixed, Range
from raysweep.sweepfile.reader import read_spec

TEMPERATURE = "estimator.temperature"
LINE = {"from": 2, "to": 0.1, "over": "steps"}


def spec_of(estimator, task=(), **keys):
    return read_spec(
        {
            "name": "annealed",
            "tasks": {"quad": {"task": "polynomial", "latents": 8, "steps": 50, **dict(task)}},
            "estimators": {"E": {"estimator": "st_gumbel_softmax", **estimator}},
            "seeds": 1,
            **keys,
        }
    )


def space_of(estimator, task=(), name="temperature", **keys):
    """The domains of the first value, the last one, the updates and the shape."""
    space = spec_of(estimator, task, **keys).arms[0].space
    ends = (f"estimator.{name}", f"task.final_{name}", f"task.{name}_steps", f"task.{name}_shape")
    return [space[key] for key in ends]


def values_of(*arguments, **keys):
    return [domain.value for domain in space_of(*arguments, **keys)]


def ids_of(spec):
    return {arm.configuration(cell).configuration_id for arm in spec.arms for cell in arm.cells()}


def test_a_schedule_is_short_for_settings_of_the_estimator_and_the_task():
    assert values_of({"temperature": LINE}) == [2.0, 0.1, None, "linear"]
    cosine = {**LINE, "over": 20, "shape": "cosine"}
    assert values_of({"temperature": cosine}) == [2.0, 0.1, 20, "cosine"]


def test_a_schedule_is_the_same_configuration_as_its_settings_written_out():
    schedule = spec_of({"temperature": {**LINE, "over": 20}})
    settings = {"final_temperature": 0.1, "temperature_steps": 20}
    assert ids_of(schedule) == ids_of(spec_of({"temperature": 2.0}, settings))


def test_every_part_of_a_schedule_can_be_searched():
    end = {"low": 0.01, "high": 1, "log": True}
    searched = {"from": [1, 2], "to": end, "over": ["steps", 20]}
    search = {"sampler": "random", "configurations": 4}
    assert space_of({"temperature": searched}, search=search) == [
        Choice((1.0, 2.0)),
        Range(0.01, 1.0, log=True),
        Choice((None, 20)),
        Fixed("linear"),
    ]


def test_a_constant_may_be_among_the_last_values():
    schedule = {"from": 1, "to": [None, 0.1], "over": [20, "steps"], "shape": "cosine"}
    (arm,) = spec_of({"temperature": schedule}).arms
    keys = ("task.final_temperature", "task.temperature_steps", "task.temperature_shape")
    found = [arm.configuration(cell).settings for cell in arm.cells()]
    assert [[settings[key] for key in keys] for settings in found] == [
        [None, None, "linear"],
        [0.1, 20, "cosine"],
        [0.1, None, "cosine"],
    ]


def test_a_weight_has_schedules_as_well():
    muprop = {"estimator": "muprop", "learn_eta": False, "eta": LINE}
    assert values_of(muprop, name="eta") == [2.0, 0.1, None, "linear"]


def test_a_later_value_replaces_a_schedule_wholly():
    schedule = {"temperature": {**LINE, "over": 20, "shape": "cosine"}}
    assert values_of(schedule, overrides=[{"temperature": 0.7}]) == [0.7, None, None, "linear"]
    later = [{"temperature": LINE}]
    assert values_of(schedule, overrides=later) == [2.0, 0.1, None, "linear"]
    other_end = [{"final_temperature": 0.3}]
    assert values_of(schedule, overrides=other_end) == [2.0, 0.3, 20, "cosine"]


def test_a_last_value_of_the_task_stays_beside_an_estimators_number():
    task = {"final_temperature": 0.1}
    assert values_of({"temperature": 3.0}, task) == [3.0, 0.1, None, "linear"]


def test_a_command_line_can_change_one_part():
    file = {
        "name": "annealed",
        "tasks": {"quad": {"task": "polynomial", "latents": 8}},
        "estimators": {"E": {"estimator": "st_gumbel_softmax", "temperature": LINE}},
        "seeds": 1,
    }
    (arm,) = read_spec(file, changes=["estimators.E.temperature.to=0.5"]).arms
    assert arm.space["task.final_temperature"] == Fixed(0.5)


REFUSED = {
    "no over": ({"temperature": {"from": 2, "to": 1}}, "got no over; write over: steps for the"),
    "no end": ({"temperature": {"from": 2, "over": 9}}, "expected from, to and over .* got no to"),
    "a key that is none": ({"temperature": {**LINE, "shap": "cosine"}}, "key 'shap'.*'shape'"),
    "a shape that is none": ({"temperature": {**LINE, "shape": "sine"}}, "'cosine', got 'sine'"),
    "text": ({"temperature": {**LINE, "to": "low"}}, "final_temperature: expected a number"),
    "other updates": ({"temperature": {**LINE, "over": "epoch"}}, "whole number or null, got 'ep"),
    "one update": ({"temperature": {**LINE, "over": 1}}, "temperature_steps must be at least 2"),
    "a list": ({"temperature": [LINE, 1.0]}, "one schedule of 'temperature', with lists inside"),
    "a negative end": ({"temperature": {**LINE, "to": -1}}, "final_temperature must be positive"),
    "an end out of range": (
        {"estimator": "reinmax", "temperature": {"from": 2, "to": [1.0, 0.5], "over": "steps"}},
        "final_temperature with reinmax: temperature must be finite and >= 1, got 0.5",
    ),
    "a learned temperature": (
        {"estimator": "rebar", "temperature": LINE},
        "with rebar: temperature is learned and cannot be set; set learn_temperature to false",
    ),
    "a learned weight": (
        {"estimator": "relax", "eta": {**LINE, "from": 1}},
        "final_eta with relax: eta is learned and cannot be set; set learn_eta to false",
    ),
    "a part beside it": (
        {"temperature": LINE, "final_temperature": 0.3},
        "'final_temperature' appears in the schedule and beside it",
    ),
    "another setting": ({"samples": LINE}, "expected one value of 'samples' with the task poly"),
    "a setting of training": ({"lr": LINE}, r"for 'lr', got \{from, to, over\}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_schedule_that_cannot_be_is_refused_in_one_line(name):
    estimator, message = REFUSED[name]
    with pytest.raises(SpecError, match=message) as refused:
        spec_of(estimator)
    assert len(str(refused.value).splitlines()) == 1


def test_a_last_value_for_an_estimator_without_the_setting_is_refused():
    with pytest.raises(SpecError, match="final_temperature needs an estimator whose temp"):
        spec_of({"estimator": "reinforce"}, {"final_temperature": 0.5})


@pytest.mark.parametrize("order", [1, -1])
def test_a_part_of_a_schedule_beside_it_is_refused(order):
    settings = {"temperature": LINE, "final_temperature": 0.3}
    override = dict(list(settings.items())[::order])
    with pytest.raises(SpecError, match="'final_temperature' appears in the schedule and beside"):
        spec_of({}, overrides=[override])


def test_a_task_that_changes_no_setting_takes_no_schedule():
    with pytest.raises(SpecError, match="'temperature' with the task toy, which does not change"):
        spec_of({"temperature": LINE}, tasks={"walk": {"task": "toy"}})


def test_a_schedule_in_a_file_whose_task_is_unknown_is_no_further_mistake():
    with pytest.raises(SpecError) as refused:
        spec_of({"temperature": LINE}, tasks={"walk": {"task": "polynomal"}})
    assert len(str(refused.value).splitlines()) == 1

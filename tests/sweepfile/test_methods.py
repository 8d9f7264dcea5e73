"""Rows of tasks that take no estimator: the section `methods`."""

import dataclasses

import pytest

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.estimators.none import NoEstimator
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.sweepfile.reader import read_spec
from raysweep.tasks.base import NO_FAMILY
from raysweep.testing.toy import ToyAlone


@pytest.fixture(autouse=True)
def alone():
    with registry.added([ToyAlone()]):
        yield


def spec(**sections):
    return read_spec(
        {"name": "s", "seeds": 1, "tasks": {"walk": {"task": "toy_alone"}}, **sections}
    )


def test_a_file_with_methods_has_a_row_for_each_of_them():
    read = spec(methods={"slow": {"lr": 0.1}, "fast": {"lr": [0.5, 0.6], "size": 2}})
    assert [arm.name for arm in read.arms] == ["slow · walk", "fast · walk"]
    assert [arm.size for arm in read.arms] == [1, 2]
    assert (read.row_kind, read.estimator_labels) == ("method", ("slow", "fast"))
    assert {arm.estimator for arm in read.arms} == {"none"}


def test_methods_and_estimators_stand_in_one_file_and_pair_with_their_kind_of_task():
    read = spec(
        tasks={"walk": {"task": "toy_alone"}, "poly": {"task": "polynomial"}},
        methods={"slow": {"lr": 0.1}},
        estimators={"ST": {"estimator": "straight_through"}},
    )
    assert [arm.name for arm in read.arms] == ["slow · walk", "ST · poly"]
    assert read.row_kind == "method"


def test_rows_are_in_the_order_of_the_file():
    read = spec(
        tasks={"walk": {"task": "toy_alone"}, "poly": {"task": "polynomial"}},
        estimators={"ST": {"estimator": "straight_through"}},
        methods={"slow": {}},
    )
    assert read.estimator_labels == ("ST", "slow")


def test_a_row_of_the_file_without_methods_is_an_estimator():
    read = spec(
        tasks={"poly": {"task": "polynomial"}}, estimators={"ST": {"estimator": "straight_through"}}
    )
    assert read.row_kind == "estimator"
    assert type(read).from_json(read.to_json()).row_kind == "estimator"


def test_an_override_names_methods():
    read = spec(methods={"slow": {}, "fast": {}}, overrides=[{"methods": ["fast"], "lr": 0.9}])
    assert [arm.space["training.lr"].value for arm in read.arms] == [0.001, 0.9]


MISTAKES = {
    "a setting that the task lacks": (
        {"methods": {"slow": {"speed": 1}}},
        "unknown setting 'speed' of task 'toy_alone'",
    ),
    "an estimator for a task that takes none": (
        {"estimators": {"ST": {"estimator": "straight_through"}}},
        "the task 'walk' takes no estimator; add at least one row for it under methods",
    ),
    "a method for a task that takes an estimator": (
        {"tasks": {"poly": {"task": "polynomial"}}, "methods": {"slow": {}}},
        "method 'slow' fits no task, as every task takes an estimator; write it under estimators",
    ),
    "a restriction to a task of the other kind": (
        {
            "tasks": {"walk": {"task": "toy_alone"}, "poly": {"task": "polynomial"}},
            "estimators": {"ST": {"estimator": "straight_through", "tasks": ["walk", "poly"]}},
            "methods": {"slow": {}},
        },
        "estimator 'ST' cannot run on the task 'walk', which takes no estimator; remove that task "
        "here, or write a row for it under methods",
    ),
    "one label twice": (
        {
            "tasks": {"walk": {"task": "toy_alone"}, "poly": {"task": "polynomial"}},
            "estimators": {"slow": {"estimator": "straight_through"}},
            "methods": {"slow": {}},
        },
        "the label 'slow' is in estimators and in methods; rename one",
    ),
    "no rows": ({}, "the key 'estimators' is missing or has no value; add it (or 'methods')"),
    "an empty section": (
        {"methods": {}},
        "expected at least one method, as LABEL: {SETTING: VALUE, ...}",
    ),
    "a row that is a number": (
        {"methods": {"slow": 3}},
        "expected 'slow' as {SETTING: VALUE, ...}, got 3",
    ),
    "the name of the estimator of methods": (
        {
            "tasks": {"poly": {"task": "polynomial"}},
            "estimators": {"x": {"estimator": "none"}},
        },
        "unknown estimator 'none'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_rows_is_refused(mistake):
    sections, message = MISTAKES[mistake]
    with pytest.raises(SpecError) as caught:
        spec(**sections)
    assert message in str(caught.value)


def test_each_mistake_is_said_once():
    sections, _ = MISTAKES["an estimator for a task that takes none"]
    with pytest.raises(SpecError) as caught:
        spec(**sections)
    assert len(caught.value.problems) == len(set(caught.value.problems))


def test_the_name_of_no_estimator_is_one_everywhere():
    assert registry.estimator_names(NO_FAMILY) == (NO_ESTIMATOR,) == (NoEstimator.name,)


def test_the_identity_of_a_run_says_that_it_has_no_estimator():
    [arm] = spec(methods={"slow": {}}).arms
    identity = arm.configuration({}).identity
    assert identity["estimator"] == {"name": "none", "version": 1}
    assert dataclasses.replace(arm, estimator_label="x").definition == arm.definition


def test_a_task_that_cannot_be_read_makes_no_row_a_mistake():
    with pytest.raises(SpecError) as caught:
        spec(
            tasks={"walk": {"task": "toy_alone"}, "poly": {"task": "polynomal"}},
            estimators={"ST": {"estimator": "straight_through"}},
            methods={"slow": {}},
        )
    assert len(caught.value.problems) == 1

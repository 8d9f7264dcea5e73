"""Settings of a trial run, by what tasks declare."""

import pytest

from raysweep.sweep.spec import Spec, smoke_spec
from raysweep.sweepfile.reader import read_spec


def spec_of(task, **settings):
    return read_spec(
        {
            "name": "trial",
            "tasks": {"A": {"task": task, **settings}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "seeds": 2,
        }
    )


def trial_settings(spec):
    (arm,) = smoke_spec(spec).arms
    return {key: domain.value for key, domain in arm.space.items()}


@pytest.mark.parametrize("task", ["categorical_vae", "structured_prediction", "gradient_quality"])
def test_a_trial_run_is_limited_to_what_the_task_declares(task):
    spec = spec_of(task, evaluation_examples=300, evaluation_samples=5)
    settings = trial_settings(spec)
    assert settings["training.steps"] == 3
    assert settings["task.evaluation_examples"] == 200
    assert settings["task.evaluation_samples"] == settings["task.bound_samples"] == 2


def test_a_trial_run_keeps_smaller_values_and_limits_those_not_set():
    assert trial_settings(spec_of("gradient_quality"))["task.evaluation_examples"] == 100
    assert trial_settings(spec_of("categorical_vae"))["task.evaluation_examples"] == 200
    assert trial_settings(spec_of("categorical_vae"))["task.evaluation_samples"] == 1


def test_limits_of_a_trial_run_are_not_stored():
    data = spec_of("categorical_vae").to_json()
    assert "smoke" not in data["arms"][0]
    assert Spec.from_json(data).to_json() == data

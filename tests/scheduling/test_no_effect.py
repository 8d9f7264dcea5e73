"""Warnings of settings that have no effect."""

import pytest

from raysweep.cli.plan_text import plan_text
from raysweep.driver import no_effect
from raysweep.driver.session import plan
from raysweep.sweepfile.reader import read_spec


def spec_of(training, estimators=("straight_through",), search="grid"):
    return read_spec(
        {
            "name": "idle",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {name: {"estimator": name} for name in estimators},
            "training": training,
            "seeds": 1,
            "search": search,
        }
    )


IDLE = {
    "choices": (
        {"optimizer": "adam", "momentum": [0.0, 0.5, 0.9]},
        "momentum has no effect with optimizer adam, so that its 3 values train the same runs; "
        "keep one value, or write momentum: {when: {optimizer: sgd}, ...}",
    ),
    "choices with one of several optimizers": (
        {"optimizer": ["adam", "sgd"], "momentum": [0.0, 0.9]},
        "momentum has no effect with optimizer adam, so that its 2 values train the same runs",
    ),
    "a value": (
        {"optimizer": "adam", "momentum": 0.9},
        "momentum has no effect with optimizer adam; remove it",
    ),
    "settings of two optimizers": (
        {"optimizer": "sgd", "beta1": [0.8, 0.9]},
        "{when: {optimizer: [adam, radam]}, ...}",
    ),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_setting_without_effect_is_warned_of(name):
    training, message = IDLE[name]
    (line,) = no_effect.warnings(spec_of(training))
    assert line.startswith("straight_through · walk: ")
    assert message in line


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "momentum": [0.0, 0.9]},
        {"optimizer": ["adam", "sgd"], "momentum": 0.9},
        {
            "optimizer": ["adam", "sgd"],
            "momentum": {"when": {"optimizer": "sgd"}, "choices": [0, 0.9]},
        },
        {"optimizer": "adam", "momentum": 0.0},
        {"lr": [0.1, 0.2]},
    ],
)
def test_a_setting_with_an_effect_is_not_warned_of(training):
    assert no_effect.warnings(spec_of(training)) == []


def test_a_range_without_effect_is_warned_of():
    training = {"momentum": {"low": 0.1, "high": 0.9}}
    (line,) = no_effect.warnings(spec_of(training, search={"sampler": "tpe", "configurations": 3}))
    assert "all its values train the same runs" in line


def test_a_warning_names_its_arms_once():
    (line,) = no_effect.warnings(spec_of({"momentum": 0.9}, ("straight_through", "reinmax")))
    assert line.startswith("straight_through · walk, reinmax · walk: momentum")


def test_a_plan_shows_the_warning(tmp_path):
    assert "momentum has no effect" in plan_text(plan(spec_of({"momentum": 0.9}), tmp_path))


def test_a_plan_of_one_has_no_plurals(tmp_path):
    text = plan_text(plan(spec_of({}), tmp_path))
    assert "\n1 run: 1 missing\n" in text
    assert "\n1 pack, if trained on this machine's CPUs\n" in text

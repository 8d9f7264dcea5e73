"""Wrong uses of a run, and saved states that do not fit."""

import copy

import pytest
import torch
from function_helpers import finish, saved
from torch import nn

from raysweep.tasks.contract import BrokenContract, RestoreError


class Odd:
    """An object whose state a checkpoint cannot hold."""

    def state_dict(self):
        return {"inside": [object()]}

    def load_state_dict(self, state): ...


def tracking(**objects):
    def track(run):
        run.track(**objects)
        for _ in run.steps(2):
            run.report(train_loss=1)

    return track


def test_an_object_without_a_state_is_refused_by_name(start):
    with pytest.raises(
        TypeError,
        match="expected 'data' to have state_dict and load_state_dict, got an object of the class "
        "list",
    ):
        start(tracking(data=[1, 2]))


def test_a_class_is_refused(start):
    with pytest.raises(TypeError, match="got the class Linear"):
        start(tracking(model=nn.Linear))


def test_a_state_that_a_checkpoint_cannot_hold_is_refused_with_its_key(start):
    training = start(tracking(odd=Odd()))
    with pytest.raises(
        TypeError, match=r"the state of odd\['inside'\]\[0\] is of the class object"
    ):
        training.state_dict()


def twice_tracked(run):
    run.track(model=nn.Linear(1, 1))
    run.track(model=nn.Linear(1, 1))


def late_tracked(run):
    for _ in run.steps(2):
        run.track(model=nn.Linear(1, 1))


def two_loops(run):
    for _ in run.steps(2):
        pass
    for _ in run.steps(2):
        pass


def reports(**metrics):
    def report(run):
        for _ in run.steps(2):
            run.report(**metrics)

    return report


def reports_unnamed(*values):
    def report(run):
        for _ in run.steps(2):
            run.report(*values)

    return report


def tracks_unnamed(run):
    run.track(nn.Linear(1, 1))


def returns(value):
    return lambda_free(value)


def lambda_free(value):
    def give(run):
        return value

    return give


WRONG = {
    "a name that is tracked twice": (twice_tracked, "'model' is tracked already"),
    "an object that is tracked too late": (late_tracked, "must be tracked before the loop"),
    "two loops": (two_loops, "run.steps is called a second time; use one loop for all steps"),
    "no steps": (lambda run: list(run.steps(0)), "expected a whole number of steps, at least 1"),
    "half steps": (lambda run: list(run.steps(2.5)), "at least 1, got 2.5"),
    "an undeclared metric": (
        reports(loss=1),
        r"run.report: the task declares no metric 'loss' \(declared: train_loss\)",
    ),
    "a vector": (
        reports(train_loss=torch.zeros(3)),
        r"expected one number for 'train_loss', got Tensor of the shape \[3\]",
    ),
    "a value without a name": (
        reports_unnamed(1.0),
        r"run.report: expected values by name, got 1.0; write run.report\(train_loss=1.0\)",
    ),
    "a tensor without a name": (
        reports_unnamed(torch.zeros(3)),
        r"expected values by name, got Tensor; write run.report\(train_loss=…\)",
    ),
    "two values without names": (
        reports_unnamed("train_loss", 1.0),
        r"expected values by name, got 'train_loss', 1.0; write run.report\(train_loss=1.0\)",
    ),
    "a dict": (
        reports_unnamed({"train_loss": 1.0}),
        r"expected values by name, got dict; write run.report\(\*\*values\)",
    ),
    "an object without a name": (
        tracks_unnamed,
        r"run.track: expected objects by name, got Linear; write run.track\(linear=…\)",
    ),
    "text": (reports(train_loss="1.0"), "expected one number for 'train_loss', got str"),
    "nothing": (reports(train_loss=None), "expected one number for 'train_loss', got NoneType"),
    "a returned number": (returns(3.0), "expected the function to return metrics by name"),
    "a returned metric that is not declared": (returns({"loss": 1}), "no metric 'loss'"),
    "a metric that is never reported": (
        reports(),
        "'train_loss' is declared, but neither reported nor returned",
    ),
    "an estimator": (lambda run: run.estimator, "the task takes no estimator"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_use_of_the_run_is_said_in_one_line(start, wrong):
    function, message = WRONG[wrong]
    named = copy.copy(function)
    if function.__name__ == "<lambda>":
        named.__name__ = "named"
    with pytest.raises(BrokenContract, match=message) as caught:
        finish(start(named))
    assert len(str(caught.value).splitlines()) == 1


def model_of(features, *, steps=4, extra=False, tracked=True):
    def fit(run):
        model = nn.Linear(features, 1)
        objects = {"model": model} if tracked else {}
        run.track(**objects, **({"other": nn.Linear(1, 1)} if extra else {}))
        for _ in run.steps(steps):
            run.report(train_loss=1)

    return fit


CHANGES = {
    "another shape": (model_of(3), "the saved state of 'model' does not fit: RuntimeError"),
    "another number of steps": (
        model_of(2, steps=5),
        r"the checkpoint is of a run of 4 steps, got run.steps\(5\)",
    ),
    "an object more": (model_of(2, extra=True), "the checkpoint holds no state of 'other'"),
    "an object fewer": (
        model_of(2, tracked=False),
        "the checkpoint holds the state of 'model', which is no longer tracked",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_does_not_fit_is_refused(start, change):
    first = start(model_of(2))
    first.advance(1)
    state = saved(first)
    function, message = CHANGES[change]
    with pytest.raises(RestoreError, match=message):
        start(function, state=state)

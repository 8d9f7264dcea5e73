"""`raysweep check` of plain functions."""

import sys

import pytest
import torch
from torch import nn

from raysweep import registry, task
from raysweep.errors import SpecError
from raysweep.testing.tasks import check_task

LOSS = {"train_loss": "min"}
COUNT = iter(range(1000))


def train(run, tracked, steps):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    run.track(
        **({"model": model, "optimizer": optimizer} if tracked else {"model": nn.Linear(1, 1)})
    )
    for _ in run.steps(steps):
        loss = model(torch.randn(4, 2)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(train_loss=loss)


@task(metrics=LOSS)
def whole(run, *, steps: int = 100):
    train(run, True, steps)


@task(metrics=LOSS)
def forgetful(run, *, steps: int = 100):
    train(run, False, steps)


@task(metrics=LOSS)
def careless(run, *, steps: int = 100):
    for step in run.steps(steps):
        run.report(train_loss=step)


@task(metrics=LOSS)
def moody(run, *, steps: int = 100):
    for _ in run.steps(steps):
        run.report(train_loss=next(COUNT))


@task(metrics=LOSS)
def infinite(run, *, steps: int = 100):
    for _ in run.steps(steps):
        run.report(train_loss=float("inf"))


@task(metrics={**LOSS, "accuracy": "max"})
def silent(run, *, steps: int = 100):
    for _ in run.steps(steps):
        run.report(train_loss=1)


@task(metrics=LOSS)
def broken(run, *, steps: int = 100):
    raise ZeroDivisionError("by nothing")


@task(metrics=LOSS)
def leaving(run, *, steps: int = 100):
    sys.exit(3)


@task(metrics=LOSS)
def at_once(run):
    return {"train_loss": 1}


@task(metrics=LOSS, family="categorical")
def coded(run, *, steps: int = 100):
    logits = nn.Parameter(torch.zeros(2, 3, 4))
    run.track(logits=nn.ParameterList([logits]))
    for _ in run.steps(steps):
        out = run.estimator.estimate(logits, lambda one: one[..., 0].sum(-1))
        run.report(train_loss=out.value.mean())


@pytest.fixture(autouse=True)
def tasks():
    with registry.added(
        [whole, forgetful, careless, moody, infinite, silent, broken, leaving, at_once, coded]
    ):
        yield


@pytest.mark.parametrize("name", ["whole", "at_once", "coded"])
def test_a_right_function_has_no_problems(name):
    assert check_task(name) == []


def test_a_function_is_checked_with_any_estimator_of_its_family():
    assert check_task("coded", "rebar", steps=6) == []


def test_an_estimator_for_a_function_that_takes_none_is_refused():
    with pytest.raises(SpecError, match="this task takes no estimator, got 'rebar'"):
        check_task("whole", "rebar")


PROBLEMS = {
    "forgetful": "resumes: a resumed run differs, in train_loss: ",
    "careless": "resumes: nothing is tracked, so that an interrupted run starts over; ",
    "moody": "repeats: two runs of one seed differ, in train_loss: ",
    "infinite": "reports: train_loss is inf after 4 steps",
    "silent": "silent (test_check_function.py:",
    "leaving": "raised SystemExit: the function called sys.exit(3); to end a run early, break out",
    "broken": "raised ZeroDivisionError: by nothing (test_check_function.py:",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_one_line(name):
    first, *_ = check_task(name)
    assert first.startswith(PROBLEMS[name])

"""Settings and metrics of a function, and the mistakes in them."""

import dataclasses
from typing import Annotated, Literal

import pytest

from raysweep import registry
from raysweep.tasks.base import NO_FAMILY, Metric
from raysweep.tasks.functions.signature import TaskMistake
from raysweep.tasks.functions.task import task

METRICS = {"train_loss": "min"}


@task(metrics={"train_loss": "min", "accuracy": Metric("max", "%", "share of right answers")})
def sample(
    run,
    *,
    hidden: int = 64,
    rule: Literal["adam", "sgd"] = "adam",
    sizes: tuple[int, ...] = (3, 4),
    clip: float | None = None,
    lr: float = 1,
    steps: int = 7,
):
    """Train a sample.

    And more.
    """


def test_keyword_arguments_are_settings():
    with registry.added([sample]):
        declared = registry.task_settings("sample")
    assert {key: one.default for key, one in declared.items()} == {
        "task.hidden": 64,
        "task.rule": "adam",
        "task.sizes": (3, 4),
        "task.clip": None,
        "training.lr": 1,
        "training.steps": 7,
        "training.window": None,
        "training.report_every": 1,
    }


def test_a_function_without_an_argument_steps_can_be_limited():
    made = task(metrics=METRICS)(lambda_free)
    assert made.settings().steps is None


def lambda_free(run):
    """Train nothing."""


def test_a_task_has_name_metrics_and_documentation_of_its_function():
    assert (sample.name, sample.version, sample.family) == ("sample", 1, NO_FAMILY)
    assert sample.metrics["train_loss"].direction == "min"
    assert sample.metrics["accuracy"].unit == "%"
    assert registry.documentation(type(sample)).startswith("Train a sample.")
    assert dataclasses.fields(sample.settings)


def test_a_task_can_be_called_like_its_function():
    assert sample(None, hidden=3) is None


def test_a_family_adds_the_settings_of_learned_parts():
    made = task(metrics=METRICS, family="categorical")(lambda_free)
    assert {"tuning_lr", "tuning_beta2"} <= {one.name for one in dataclasses.fields(made.settings)}


def no_run(*, lr: float = 1.0): ...
def positional(run, lr: float = 1.0): ...
def no_type(run, *, lr=1.0): ...
def odd_type(run, *, layers: dict = {}): ...  # noqa: B006
def no_default(run, *, lr: float): ...
def wrong_default(run, *, lr: float = "fast"): ...
def other_literal(run, *, rule: Literal["adam", "sgd"] = "lion"): ...
def reserved(run, *, seed: int = 0): ...
def stars(run, **settings): ...
def odd_steps(run, *, steps: float = 3.0): ...
def unknown_type(run, *, lr: "Rate" = 1.0): ...  # noqa: F821
async def waiting(run): ...


def yielding(run):
    yield 1


MISTAKES = {
    no_run: "expected the arguments (run, *, setting: type = default), got no run",
    positional: "expected the arguments (run, *, setting: type = default), got lr before the *; "
    "write a * before lr",
    no_type: "the setting 'lr' has no type; write lr: TYPE = DEFAULT",
    odd_type: "expected the type of 'layers' to be bool, int, float, str, a Literal of them, "
    "tuple[T, ...] of one of them, or one of these or None, got dict",
    no_default: "the setting 'lr' has no default; write lr: float = DEFAULT",
    wrong_default: "expected the default of 'lr' to be of its type float, got 'fast'",
    other_literal: "expected the default of 'rule' to be of its type Literal['adam', 'sgd'], got "
    "'lion'",
    reserved: "expected another name for the setting 'seed'; the seed of a run is run.seed",
    stars: "got the argument **settings; write out its settings, with types and defaults",
    odd_steps: "expected the type of 'steps' to be int, got float",
    unknown_type: "its annotations cannot be read: name 'Rate' is not defined",
    waiting: "expected a plain function, got async def; use run.report",
    yielding: "expected a plain function, got a generator, with yield; use run.report",
}


@pytest.mark.parametrize("function", MISTAKES, ids=lambda function: function.__name__)
def test_a_mistake_in_the_signature_is_one_line_with_file_and_line(function):
    with pytest.raises(TaskMistake) as caught:
        task(metrics=METRICS)(function)
    line = function.__code__.co_firstlineno
    where = f"{function.__name__} (test_function_signatures.py:{line})"
    assert str(caught.value) == f"{where}: {MISTAKES[function]}"


def test_all_mistakes_are_said_at_once():
    def several(run, *, lr: float = "a", hidden: list = 3): ...

    with pytest.raises(TaskMistake) as caught:
        task(metrics={"train_loss": "lowest"}, version=0)(several)
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, 'expected metrics={"train_loss": "min"}, got metrics={}'),
        (["train_loss"], "got metrics=['train_loss']"),
        (
            {"train loss": "min"},
            "expected the name of a metric such as train_loss, got 'train loss'",
        ),
        ({"train_loss": "low"}, "expected 'min' or 'max' for the metric 'train_loss', got 'low'"),
    ],
)
def test_a_mistake_in_the_metrics_is_one_line(metrics, message):
    with pytest.raises(TaskMistake) as caught:
        task(metrics=metrics)(lambda_free)
    assert message in str(caught.value)


def test_the_decorator_without_metrics_says_how_it_is_written():
    with pytest.raises(TaskMistake, match=r"write @raysweep.task\(metrics="):
        task(lambda_free)


def test_a_lambda_is_no_task():
    with pytest.raises(TaskMistake, match="expected a function with a name"):
        task(metrics=METRICS)(lambda run: None)


def test_a_class_is_no_task():
    with pytest.raises(TaskMistake, match="expected a function, got the class Sample; put the"):
        task(metrics=METRICS)(type("Sample", (), {}))


def explained(run, *, hidden: Annotated[int, "units in the hidden layer"] = 3, lr: float = 1.0): ...


def test_an_annotation_may_explain_a_setting():
    with registry.added([task(metrics=METRICS)(explained)]):
        declared = registry.task_settings("explained")
    assert declared["task.hidden"].meaning == "units in the hidden layer"
    assert declared["task.hidden"].type is int
    assert not declared["training.lr"].meaning

"""Definition of a stacked task: the functions of one run, their settings and metrics."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from torch import nn

from raysweep.tasks.base import Metric, Replica, TrainingSettings, replica_values
from raysweep.tasks.functions.metrics import Declared, declared_metrics
from raysweep.tasks.functions.signature import (
    TaskMistake,
    arguments,
    location,
    meanings_of,
    settings_class,
)
from raysweep.tasks.stacked.mistakes import mistake

LOSS = "train_loss"
"""Name under which the loss is reported."""

_FIRST = {
    "build": (),
    "loss": ("model", "batch", "noise"),
    "data": ("folder",),
    "evaluate": ("model", "data"),
}
_OF_TRAINING = {field.name: field for field in dataclasses.fields(TrainingSettings)}


@dataclasses.dataclass(frozen=True)
class Functions:
    """Functions of one run, as the user wrote them.

    Args:
        build: Function that returns the module of a run.
        loss: Function of (module, batch, noise) that returns a loss, and metrics.
        data: Function from the data folder to the examples.
        evaluate: Function of (module, data) that returns final metrics; None if there is none.
    """

    build: Callable[..., nn.Module]
    loss: Callable[..., Any]
    data: Callable[..., Any]
    evaluate: Callable[..., Any] | None

    def items(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Return the functions that are there, by their roles."""
        for role in _FIRST:
            if (function := getattr(self, role)) is not None:
                yield role, function


@dataclasses.dataclass(frozen=True)
class Definition:
    """Functions of a task with what was read from their signatures.

    Args:
        functions: Functions of one run.
        settings: Dataclass of the settings.
        names: Names of the settings that a function takes, by its role.
        per_run: Names of the settings that may differ between the runs of a pack.
        metrics: Meaning of the metrics, by name.
    """

    functions: Functions
    settings: type
    names: Mapping[str, Sequence[str]]
    per_run: frozenset[str]
    metrics: Mapping[str, Metric]

    def values(self, role: str, settings: Any, replica: Replica | None = None) -> dict[str, Any]:
        """Return the settings of a function, those of a run where it has its own."""
        alone = replica or Replica("", 0, {})
        return {name: replica_values(name, settings, [alone])[0] for name in self.names[role]}


def define(functions: Functions, metrics: Declared) -> Definition:
    """Return the definition of a task.

    Raises:
        TaskMistake: If there are mistakes, with a line each.
    """
    for role, function in functions.items():
        if not inspect.isfunction(inspect.unwrap(function)):
            raise TaskMistake(f"stacked_task: expected {role} to be a function, got {function!r}")
        if (other := _other_kind(function)) is not None:
            raise mistake(function, f"expected a plain function, got {other}")
    declared = {role: arguments(one, _FIRST[role]) for role, one in functions.items()}
    merged = _merged(functions, declared)
    roles = {name: {role for role in declared if name in declared[role]} for name in merged}
    per_run = frozenset(
        name
        for name, (kind, _) in merged.items()
        if name not in _OF_TRAINING and kind is float and roles[name] <= {"loss", "evaluate"}
    )
    trained = {name for name, field in _OF_TRAINING.items() if field.metadata["per_replica"]}
    texts: dict[str, str] = {}
    for _, function in functions.items():
        texts = {**meanings_of(function), **texts}
    title = "".join(part.title() for part in functions.build.__name__.split("_"))
    settings = settings_class(
        f"{title}Settings", merged, TrainingSettings, per_run | trained, texts
    )
    try:
        settings()
    except ValueError as error:
        raise mistake(functions.build, f"the defaults do not fit: {error}") from error
    names = {role: tuple(declared[role]) for role in declared}
    meanings = _metrics(functions, metrics)
    return Definition(functions, settings, names, per_run | trained, meanings)


def _other_kind(function: Callable[..., Any]) -> str | None:
    """Return what a function is other than a plain one, and what to do; None if it is plain."""
    if inspect.iscoroutinefunction(function):
        return f"async def; write def {function.__name__}"
    if inspect.isgeneratorfunction(function):
        return "a generator, with yield; use return"
    return None


def _merged(
    functions: Functions, declared: Mapping[str, Mapping[str, tuple[Any, Any]]]
) -> dict[str, tuple[Any, Any]]:
    """Return type and default of every setting.

    Raises:
        TaskMistake: If functions do not agree on one, or on a type of training.
    """
    merged: dict[str, tuple[Any, Any]] = {}
    first: dict[str, Callable[..., Any]] = {}
    for role, function in functions.items():
        for name, given in declared[role].items():
            if name in _OF_TRAINING:
                given = (_kind_of_training(function, name, *given), given[1])  # noqa: PLW2901
            if name not in merged:
                merged[name], first[name] = given, function
            elif merged[name] != given:
                other = first[name]
                raise mistake(
                    function,
                    f"the setting {name!r} is {_shown(given)}, but {_shown(merged[name])} in "
                    f"{other.__name__} ({location(other)}); give it one type and one default",
                )
    return merged


def _kind_of_training(function: Callable[..., Any], name: str, kind: Any, default: Any) -> Any:
    """Return the type of a setting of training, whose default the user replaces.

    Raises:
        TaskMistake: If the user's type or default does not fit it.
    """
    expected = typing.get_type_hints(TrainingSettings)[name]
    if typing.get_origin(expected) is Literal and kind is str:
        if default not in (choices := typing.get_args(expected)):
            options = ", ".join(choices)
            raise mistake(function, f"expected {name!r} to be one of {options}, got {default!r}")
        return expected
    if kind != expected:
        wanted = "str" if typing.get_origin(expected) is Literal else _text(expected)
        raise mistake(
            function,
            f"the setting {name!r} of training has the type {wanted}, got {_text(kind)}; write "
            f"{name}: {wanted}, or use another name",
        )
    return kind


def _metrics(functions: Functions, given: Declared) -> Mapping[str, Metric]:
    """Return the meaning of every metric.

    Raises:
        TaskMistake: If one is not declared well, or the loss is not among them.
    """
    function = functions.build
    metrics = declared_metrics(given, f"{function.__name__} ({location(function)})")
    if LOSS not in metrics or metrics[LOSS].direction != "min":
        raise mistake(
            function,
            f'expected "{LOSS}": "min" among the metrics, as the loss is reported by this name; '
            f"got {', '.join(metrics)}",
        )
    return metrics


def _shown(given: tuple[Any, Any]) -> str:
    return f"{_text(given[0])} = {given[1]!r}"


def _text(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")

"""Settings of a task from the signature of the user's function."""

import dataclasses
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Union

from raysweep.tasks.base import setting

_KINDS = inspect.Parameter
_FIRST = (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)
_TYPES = (
    "bool, int, float, str, a Literal of them, tuple[T, ...] of one of them, or one of these or "
    "None"
)
RESERVED: Mapping[str, str] = {
    "seed": "the seed of a run is run.seed",
    "run_id": "the id of a run is run.run_id",
    **dict.fromkeys(
        ("task", "tasks", "estimator", "together", "when", "value"), "sweep files use it as a key"
    ),
}
_ENGINE = ("window", "report_every")  # settings that every task has


class TaskMistake(ValueError):
    """Mistake in the definition of a task, one line each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """Settings that every function has, besides its arguments.

    Raises:
        ValueError: If a value is out of its range.
    """

    steps: int | None = setting(
        None, "most turns of run.steps; as many as the function asks for if not set"
    )
    window: int | None = setting(
        None,
        "steps that the final value of a reported metric averages over; its last report if not set",
    )
    report_every: int = setting(1, "steps between two rows of a curve")

    def __post_init__(self) -> None:
        for name in ("steps", *_ENGINE):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def location(function: Callable[..., Any]) -> str:
    """Return the file and the line of a function, as `digits.py:12`."""
    code = inspect.unwrap(function).__code__
    return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"


def arguments(
    function: Callable[..., Any], first: tuple[str, ...]
) -> Mapping[str, tuple[Any, Any]]:
    """Return type and default of the keyword-only arguments of a function, by name.

    Args:
        function: Function of the user.
        first: Names of the arguments that it takes before them, for messages.

    Raises:
        TaskMistake: With a line for each argument that is no setting.
    """
    parameters = inspect.signature(function).parameters.values()
    hints = _hints(function)
    mistakes = [_mistake_of_first(list(parameters), first)]
    settings = {}
    for parameter in [one for one in parameters if one.kind not in _FIRST]:
        mistake = _mistake(parameter, hints)
        mistakes.append(mistake)
        if mistake is None:
            settings[parameter.name] = (hints[parameter.name], _plain(parameter.default))
    told = [f"{function.__name__} ({location(function)}): {one}" for one in mistakes if one]
    if told:
        raise TaskMistake("\n".join(told))
    return settings


def meanings_of(function: Callable[..., Any]) -> Mapping[str, str]:
    """Return the texts of arguments that have one: `lr: Annotated[float, "a rate"] = 0.1`."""
    hints = typing.get_type_hints(function, include_extras=True)
    texts = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: text[0] for name, text in texts.items() if text and isinstance(text[0], str)}


def settings_class(
    name: str,
    declared: Mapping[str, tuple[Any, Any]],
    base: type,
    replicas: frozenset[str],
    texts: Mapping[str, str],
) -> type:
    """Return a frozen dataclass of settings.

    Args:
        name: Name of the class.
        declared: Type and default of each setting, by name.
        base: Class with further settings, whose defaults they may replace.
        replicas: Names of the settings that may differ between the runs of a pack.
        texts: Meanings of settings, by name.
    """
    known: Mapping[str, Mapping[str, Any]] = {
        field.name: field.metadata for field in dataclasses.fields(base)
    }
    fields = [
        (
            key,
            kind,
            setting(
                default,
                texts.get(key) or known.get(key, {}).get("meaning", ""),
                per_replica=key in replicas,
                only_if=known.get(key, {}).get("only_if", {}),
            ),
        )
        for key, (kind, default) in declared.items()
    ]
    return dataclasses.make_dataclass(name, fields, bases=(base,), frozen=True, kw_only=True)


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of a function.

    Raises:
        TaskMistake: If one cannot be evaluated.
    """
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise TaskMistake(
            f"{function.__name__} ({location(function)}): its annotations cannot be read: {error}"
        ) from error


def _mistake_of_first(parameters: list[inspect.Parameter], first: tuple[str, ...]) -> str | None:
    """Return what is wrong with the arguments before the settings; None if nothing is."""
    given = [one.name for one in parameters if one.kind in _FIRST]
    if len(given) == len(first):
        return None
    form = f"({', '.join([*first, '*', 'setting: type = default'])})"
    if len(given) < len(first):
        return f"expected the arguments {form}, got no {first[len(given)]}"
    extra = ", ".join(given[len(first) :])
    return f"expected the arguments {form}, got {extra} before the *; write a * before {extra}"


def _mistake(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> str | None:
    name = parameter.name
    if parameter.kind in (_KINDS.VAR_POSITIONAL, _KINDS.VAR_KEYWORD):
        stars = "*" if parameter.kind == _KINDS.VAR_POSITIONAL else "**"
        return f"got the argument {stars}{name}; write out its settings, with types and defaults"
    if name in RESERVED or name not in hints:
        no_type = f"the setting {name!r} has no type; write {name}: TYPE = DEFAULT"
        other = f"expected another name for the setting {name!r}; {RESERVED.get(name)}"
        return other if name in RESERVED else no_type
    kind = _text(hints[name])
    if not _is_type(hints[name]):
        return f"expected the type of {name!r} to be {_TYPES}, got {kind}"
    if name in ("steps", "report_every") and hints[name] is not int:
        return f"expected the type of {name!r} to be int, got {kind}"
    if parameter.default is _KINDS.empty:
        return f"the setting {name!r} has no default; write {name}: {kind} = DEFAULT"
    fits = _fits(_plain(parameter.default), hints[name])
    given = f"expected the default of {name!r} to be of its type {kind}, got {parameter.default!r}"
    return None if fits else given


def _members(declared: Any) -> Iterator[Any]:
    is_union = typing.get_origin(declared) in (Union, types.UnionType)
    yield from typing.get_args(declared) if is_union else (declared,)


def _is_type(declared: Any) -> bool:
    """Return whether sweep files can give values of a type."""
    for member in _members(declared):
        origin, inside = typing.get_origin(member), typing.get_args(member)
        if origin is Literal:
            fits = all(isinstance(value, bool | int | float | str) for value in inside)
        elif origin is tuple:
            fits = len(inside) == 2 and inside[1] is Ellipsis and _is_type(inside[0])
        else:
            fits = member in (bool, int, float, str, type(None))
        if not fits:
            return False
    return declared is not type(None)


def _fits(value: Any, declared: Any) -> bool:
    """Return whether a value is of a type; a whole number is a float, too."""
    for member in _members(declared):
        origin, inside = typing.get_origin(member), typing.get_args(member)
        if origin is Literal:
            fits = any(value == one and type(value) is type(one) for one in inside)
        elif origin is tuple:
            fits = isinstance(value, tuple) and all(_fits(item, inside[0]) for item in value)
        elif member is float:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        elif member is int:
            fits = isinstance(value, int) and not isinstance(value, bool)
        else:
            fits = isinstance(value, member)
        if fits:
            return True
    return False


def _plain(default: Any) -> Any:
    return tuple(default) if isinstance(default, list) else default


def _text(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) else str(declared).replace("typing.", "")

"""Registry of the tasks and estimators that a sweep file can name, and of their settings."""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from typing import Any, Union

from raysweep import tasks
from raysweep.errors import SpecError, nearest
from raysweep.estimators import Estimator
from raysweep.estimators import registry as estimators
from raysweep.tasks.base import Task, TrainingSettings

TRAINING = frozenset(field.name for field in dataclasses.fields(TrainingSettings))

ESTIMATOR_GROUPS = {"categorical": "raysweep.estimators"}
"""Entry points of estimators in other packages, by family."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """Declaration of a setting.

    Args:
        key: Key `section.name`, whose section is `task`, `estimator` or `training`.
        type: Type annotation of the setting.
        default: Value if the sweep file gives none.
        per_replica: Whether the runs of one pack may have different values.
        smoke: Largest value in a trial run; no limit if None.
        only_if: Values of other settings, by name, without which this one has no effect.
    """

    key: str
    type: Any
    default: Any
    per_replica: bool
    smoke: float | None = None
    only_if: Mapping[str, Collection[Any]] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the setting without its section."""
        return self.key.partition(".")[2]


@functools.cache
def task_names() -> tuple[str, ...]:
    """Return all tasks: raysweep's, and those of installed packages (`raysweep.tasks`)."""
    return tuple(sorted({*tasks.names(), *plugins("raysweep.tasks")}))


@functools.cache
def task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        SpecError: If there is none, or if an installed package's is no `Task`.
    """
    if name in tasks.names():
        return tasks.get(name)
    known = plugins("raysweep.tasks")
    if name not in known:
        raise SpecError(f"unknown task {name!r}{nearest(name, task_names())}")
    plugin = known[name].load()
    made = plugin() if isinstance(plugin, type) else plugin
    if not isinstance(made, Task):
        raise SpecError(
            f"task {name!r} must be a subclass of raysweep.tasks.Task, got {known[name].value}; "
            "add the base class"
        )
    return made


@functools.cache
def estimator_names(family: str) -> tuple[str, ...]:
    """Return every estimator of a family: raysweep's own and those of installed packages."""
    return tuple(sorted({*estimators.FAMILIES.get(family, ()), *_estimator_plugins(family)}))


@functools.cache
def estimator_class(family: str, name: str) -> type[Estimator]:
    """Return the class of an estimator.

    Raises:
        SpecError: If the family has no estimator of that name.
    """
    if name not in estimator_names(family):
        raise SpecError(f"unknown estimator {name!r}{nearest(name, estimator_names(family))}")
    if name in estimators.FAMILIES.get(family, ()):
        return estimators.find(name, family)
    return _estimator_plugins(family)[name].load()


@functools.cache
def task_settings(name: str) -> Mapping[str, Setting]:
    """Return the task's settings by key: common ones under `training.`, others under `task.`."""
    return _settings_of(task(name).settings)


@functools.cache
def training_settings() -> Mapping[str, Setting]:
    """Return the settings of `training`, with the defaults of a task that changes none."""
    return _settings_of(TrainingSettings)


def _settings_of(declared: type) -> Mapping[str, Setting]:
    hints = typing.get_type_hints(declared)
    settings = {}
    for field in dataclasses.fields(declared):
        section = "training" if field.name in TRAINING else "task"
        key = f"{section}.{field.name}"
        per_replica = bool(field.metadata.get("per_replica", False))
        settings[key] = Setting(
            key,
            hints[field.name],
            _plain(field.default),
            per_replica,
            field.metadata.get("smoke"),
            field.metadata.get("only_if", {}),
        )
    return types.MappingProxyType(settings)


@functools.cache
def estimator_settings(family: str, name: str) -> Mapping[str, Setting]:
    """Return the estimator's settings by key, read from its constructor."""
    cls = estimator_class(family, name)
    settings = {}
    for parameter in inspect.signature(cls).parameters.values():
        key = f"estimator.{parameter.name}"
        declared = _without_tensor(parameter.annotation)
        per_replica = parameter.name in cls.per_replica
        settings[key] = Setting(key, declared, _plain(parameter.default), per_replica)
    return types.MappingProxyType(settings)


def instantiate(
    task_name: str, estimator_name: str, settings: Mapping[str, Any]
) -> tuple[Any, Estimator]:
    """Return the task's settings object and the estimator that the settings describe.

    Args:
        task_name: Name of the task in the registry.
        estimator_name: Name of an estimator of the task's family.
        settings: Values by key `section.name`; an estimator's may be tensors `R`.

    Raises:
        ValueError: If the task or the estimator rejects a value.
    """
    chosen_task = task(task_name)
    sections: dict[str, dict[str, Any]] = {"task": {}, "training": {}, "estimator": {}}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        sections[section][name] = tuple(value) if isinstance(value, list) else value
    cls = estimator_class(chosen_task.family, estimator_name)
    task_settings = chosen_task.settings(**sections["task"], **sections["training"])
    return task_settings, cls(**sections["estimator"])


def _plain(default: Any) -> Any:
    return tuple(default) if isinstance(default, list) else default


def _without_tensor(annotation: Any) -> Any:
    """Return the annotation without its tensor member, by which replicas pass a value each."""
    members = (
        typing.get_args(annotation)
        if typing.get_origin(annotation) in (Union, types.UnionType)
        else (annotation,)
    )
    plain = tuple(
        member
        for member in members
        if not (isinstance(member, type) and member.__module__ == "torch")
        and "Tensor" not in str(member)
    )
    return Union[plain]  # noqa: UP007 - the members are known only at run time


def _estimator_plugins(family: str) -> dict[str, Any]:
    group = ESTIMATOR_GROUPS.get(family)
    return {} if group is None else plugins(group)


@functools.cache
def plugins(group: str) -> dict[str, Any]:
    """Return the entry points of a group by name."""
    return {plugin.name: plugin for plugin in entry_points(group=group)}

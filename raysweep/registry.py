"""Registry of the tasks and estimators that a sweep file can name, and of their settings."""

import contextlib
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, Union

from raysweep import tasks
from raysweep.errors import SpecError, nearest
from raysweep.estimators import Estimator, Method
from raysweep.estimators import registry as estimators
from raysweep.estimators.layered import LayeredEstimator
from raysweep.estimators.none import NoEstimator
from raysweep.tasks import data
from raysweep.tasks.base import NO_FAMILY, Open, Task, TrainingSettings
from raysweep.tasks.plugins import distribution, load
from raysweep.tasks.training import schedules

Named = TypeVar("Named")
TASK_GROUP = "raysweep.tasks"
"""Entry points of tasks in other packages."""

TRAINING = frozenset(field.name for field in dataclasses.fields(TrainingSettings))

ESTIMATOR_GROUPS = {
    "categorical": "raysweep.estimators",
    "layered": "raysweep.estimators.layered",
}
"""Entry points of estimators in other packages, by family."""

ESTIMATOR_BASES: Mapping[str, type[Any]] = {
    "categorical": Estimator,
    "layered": LayeredEstimator,
}
"""Base classes of estimators, by family."""


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
        meaning: Description in one line; empty where the class has none.
        known: Known names, and further forms, of a setting of text; None for any other.
    """

    key: str
    type: Any
    default: Any
    per_replica: bool
    smoke: float | None = None
    only_if: Mapping[str, Collection[Any]] = dataclasses.field(default_factory=dict)
    meaning: str = ""
    known: Open | None = None

    @property
    def name(self) -> str:
        """Name of the setting without its section."""
        return self.key.partition(".")[2]


_added: dict[str, Task[Any]] = {}


@contextlib.contextmanager
def added(given: Iterable[Task[Any]]) -> Iterator[None]:
    """Let sweep files name further tasks, by the names that they have, inside a `with` block.

    Raises:
        SpecError: If raysweep, an installed package or another task has one of the names.
    """
    before = dict(_added)
    known = {*tasks.names(), *plugins(TASK_GROUP)}
    try:
        for one in given:
            if one.name in known:
                raise SpecError(_taken(one))
            _added[one.name] = one
            known.add(one.name)
        yield
    finally:
        _added.clear()
        _added.update(before)


def _taken(one: Task[Any]) -> str:
    """Return that the name of a task is taken, and what to do."""
    rename = f"give another name to the task of {one.module}"
    installed = plugins(TASK_GROUP).get(one.name)
    if installed is None:
        return f"there is a task {one.name!r} already; {rename}"
    return (
        f"there is a task {one.name!r} already, of the installed {distribution(installed)}; if it "
        "is the same, leave it out (raysweep run FILE finds it without --code); if not, "
        f"{rename}"
    )


def replace_added(given: Iterable[Task[Any]]) -> None:
    """Let packs name these tasks, instead of those added before; for the process of a worker."""
    _added.clear()
    _added.update({one.name: one for one in given})


def task_names() -> tuple[str, ...]:
    """Return all tasks: raysweep's, those of installed packages, and those that were added."""
    return tuple(sorted({*tasks.names(), *plugins(TASK_GROUP), *_added}))


def task(name: str) -> Task[Any]:
    """Return the task of that name; of the plug-ins, only this one is loaded.

    Raises:
        SpecError: If there is none, or if an installed package's is no `Task` or cannot be loaded.
    """
    return _added[name] if name in _added else _stored_task(name)


@functools.cache
def _stored_task(name: str) -> Task[Any]:
    if name in tasks.names():
        return tasks.get(name)
    known = plugins(TASK_GROUP)
    if name not in known:
        raise SpecError(
            f"unknown task {name!r}{nearest(name, task_names())}; for a task of your own, give its "
            "file: raysweep run FILE --code PATH; on a server, an admin names that file"
        )
    made = _loaded(known[name], lambda task: task() if isinstance(task, type) else task)
    if not isinstance(made, Task):
        raise SpecError(
            f"task {name!r} must be a subclass of raysweep.tasks.Task, got {known[name].value}; "
            "add the base class"
        )
    return made


def families() -> tuple[str, ...]:
    """Return the families of estimators, for which no plug-in is loaded.

    `NO_FAMILY`, that of tasks without an estimator, is not one of them.
    """
    return tuple(sorted({*estimators.FAMILIES, *ESTIMATOR_GROUPS}))


def estimator_names(family: str) -> tuple[str, ...]:
    """Return every estimator of a family: raysweep's own and those of installed packages."""
    if family == NO_FAMILY:
        return (NoEstimator.name,)
    return tuple(sorted({*estimators.FAMILIES.get(family, ()), *_estimator_plugins(family)}))


def families_of(name: str) -> tuple[str, ...]:
    """Return the families that have an estimator of that name."""
    return tuple(family for family in families() if name in estimator_names(family))


def check_estimator(name: str, task_name: str) -> None:
    """Check that there is an estimator of that name in the family that a task takes.

    Raises:
        SpecError: If there is no such task, or no such estimator in its family.
    """
    family = task(task_name).family
    if family == NO_FAMILY:
        if name == NoEstimator.name:
            return
        raise SpecError(
            f"the task {task_name} takes no estimator, got {name}; give its rows under methods"
        )
    others = families_of(name)
    if not others:
        raise SpecError(f"unknown estimator {name!r}{nearest(name, estimator_names(family))}")
    if family not in others:
        noun = "family" if len(others) == 1 else "families"
        raise SpecError(
            f"estimator {name} is of the {noun} {' and '.join(others)}; the task {task_name} takes "
            f"{family} ones"
        )


@functools.cache
def estimator_class(family: str, name: str) -> type[Method[Any]]:
    """Return the class of an estimator; of the plug-ins, only this one is loaded.

    Raises:
        SpecError: If the family has no estimator of that name, or if an installed package's is no
            `Estimator` or cannot be loaded.
    """
    if name not in estimator_names(family):
        raise SpecError(f"unknown estimator {name!r}{nearest(name, estimator_names(family))}")
    if family == NO_FAMILY:
        return NoEstimator
    if name in estimators.FAMILIES.get(family, ()):
        return estimators.find(name, family)
    plugin = _estimator_plugins(family)[name]
    cls = _loaded(plugin)
    base = ESTIMATOR_BASES[family]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        package = "raysweep.estimators" + (".layered" if family == "layered" else "")
        raise SpecError(
            f"estimator {name!r} must be a subclass of {package}.{base.__name__}, got "
            f"{plugin.value}; add the base class"
        )
    return cls


def summary(named: type) -> str:
    """Return the first line of a class's docstring."""
    return documentation(named).partition("\n")[0]


def documentation(named: type) -> str:
    """Return a class's docstring."""
    return inspect.cleandoc(named.__doc__ or "(no description)")


def usable_tasks() -> dict[str, Task[Any]]:
    """Load every task, and return those of them that can be loaded."""
    return _usable(task_names(), task)[0]


def usable_data_sets() -> list[str]:
    """Load every data set of other packages, and return the names of all that can be loaded."""
    return list(_usable(data.names(), data.get)[0])


def usable_estimators(family: str) -> dict[str, type[Method[Any]]]:
    """Load every estimator of a family, and return those of them that can be loaded."""
    return _usable(estimator_names(family), functools.partial(estimator_class, family))[0]


def broken_plugins() -> dict[str, str]:
    """Load every plug-in, and return the error of each one that cannot be used, by its name."""
    errors = _usable(task_names(), task)[1]
    for family in families():
        loader = functools.partial(estimator_class, family)
        errors |= _usable(estimator_names(family), loader)[1]
    return errors | _usable(data.names(), data.get)[1]


def _usable(
    names: Iterable[str], load: Callable[[str], Named]
) -> tuple[dict[str, Named], dict[str, str]]:
    """Load the objects of these names, and return them with the errors of the others."""
    usable: dict[str, Named] = {}
    errors: dict[str, str] = {}
    for name in names:
        try:
            usable[name] = load(name)
        except ValueError as error:
            errors[name] = str(error)
    return usable, errors


def task_settings(name: str) -> Mapping[str, Setting]:
    """Return the task's settings by key: common ones under `training.`, others under `task.`."""
    return _settings_of(task(name).settings)


@functools.cache
def training_settings() -> Mapping[str, Setting]:
    """Return the settings of `training`, with the defaults of a task that changes none."""
    return _settings_of(TrainingSettings)


@functools.cache
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
            str(field.metadata.get("meaning", "")),
            field.metadata.get("known"),
        )
    return types.MappingProxyType(settings)


@functools.cache
def estimator_settings(family: str, name: str) -> Mapping[str, Setting]:
    """Return the estimator's settings by key, read from its constructor."""
    cls = estimator_class(family, name)
    settings = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.name in cls.python_only:
            continue
        key = f"estimator.{parameter.name}"
        declared = _without_tensor(parameter.annotation)
        per_replica = parameter.name in cls.per_replica
        settings[key] = Setting(key, declared, _plain(parameter.default), per_replica)
    return types.MappingProxyType(settings)


def instantiate(
    task_name: str, estimator_name: str, settings: Mapping[str, Any]
) -> tuple[Any, Method[Any]]:
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
    estimator = cls(**sections["estimator"])
    schedules.check(task_settings, estimator)
    return task_settings, estimator


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


def _loaded(plugin: EntryPoint, finish: Callable[[Any], Any] = lambda loaded: loaded) -> Any:
    """Load a plug-in; for the arguments see `raysweep.tasks.plugins.load`.

    Raises:
        SpecError: If its code raises an error.
    """
    try:
        return load(plugin, finish)
    except ValueError as error:
        raise SpecError(str(error)) from error


def _estimator_plugins(family: str) -> dict[str, EntryPoint]:
    group = ESTIMATOR_GROUPS.get(family)
    return {} if group is None else plugins(group)


@functools.cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name."""
    return {plugin.name: plugin for plugin in entry_points(group=group)}

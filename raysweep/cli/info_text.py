"""Descriptions of tasks, estimators, settings, metrics and samplers, from their sources."""

import inspect
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from raysweep import registry
from raysweep.errors import SpecError, nearest
from raysweep.formats.grid import plain
from raysweep.formats.text import as_text
from raysweep.registry import Setting
from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import PRUNERS
from raysweep.text import one_line

NO_DEFAULT = "(none)"
MAX_OWNERS = 3


def overview() -> str:
    """Return the lists of tasks, estimators, samplers and pruners, and the broken plug-ins."""
    tasks = ((name, registry.summary(type(task))) for name, task in registry.usable_tasks().items())
    text = "tasks\n" + _listed(tasks)
    for family in registry.families():
        classes = (
            (name, registry.summary(cls))
            for name, cls in registry.usable_estimators(family).items()
        )
        text += f"\nestimators ({family})\n" + _listed(classes)
    text += f"\ndata sets: {', '.join(registry.usable_data_sets())}\n"
    text += f"samplers: {', '.join(SAMPLERS)}\nearly stopping: {', '.join(PRUNERS)}\n"
    if broken := registry.broken_plugins():
        text += "\ncannot be used\n" + "".join(f"  {one_line(text)}\n" for text in broken.values())
    return text + "\n'raysweep info NAME' explains one of them, a family, a setting or a metric.\n"


def about(name: str) -> str:
    """Return a description of everything that has a name: a task, a family, a setting, a metric.

    Args:
        name: Name, as in a sweep file.

    Raises:
        SpecError: If nothing has that name.
    """
    text = "\n".join(
        [
            *_task(name),
            *_estimator(name),
            *_family(name),
            *_setting(name),
            *_metric(name),
            *_search(name),
        ]
    )
    if not text:
        raise SpecError(
            f"no task, estimator, family, setting or metric {name!r}{nearest(name, names())}"
        )
    return text


def _task(name: str) -> Iterator[str]:
    if name not in registry.task_names():
        return
    task = registry.task(name)
    yield f"task {name}\n\n{registry.documentation(type(task))}\n"
    yield f"Estimators: those of the family {task.family}.\n"
    yield "Settings:\n" + _settings(registry.task_settings(name).values())
    metrics = [
        [key, "lower" if metric.direction == "min" else "higher", metric.unit, metric.meaning]
        for key, metric in task.metrics.items()
    ]
    yield "Metrics:\n" + as_text([plain(["metric", "better", "unit", "meaning"], metrics)])


def _estimator(name: str) -> Iterator[str]:
    for family in registry.families():
        if name not in registry.estimator_names(family):
            continue
        method = registry.estimator_class(family, name)
        yield f"estimator {name} ({family})\n\n{registry.documentation(method)}\n"
        settings = registry.estimator_settings(family, name).values()
        yield "Settings:\n" + (_settings(settings) if settings else "none\n")


def _family(name: str) -> Iterator[str]:
    if name not in registry.families():
        return
    takers = [key for key, task in registry.usable_tasks().items() if task.family == name]
    classes = registry.usable_estimators(name).items()
    listed = _listed((key, registry.summary(cls)) for key, cls in classes)
    yield f"family {name}\n\nTasks: {', '.join(takers)}.\n\nEstimators:\n{listed}"


def _setting(name: str) -> Iterator[str]:
    short = name.rpartition(".")[2]
    owners: dict[tuple[str, ...], list[str]] = {}
    for owner, setting in _all_settings():
        if setting.name == short and name in (short, setting.key):
            owners.setdefault((setting.key, *_described(setting)), []).append(owner)
    rows = [[_listed_few(names), *described] for described, names in owners.items()]
    if rows:
        head = ["of", "setting", "values", "default", "may differ in a pack", "meaning"]
        yield f"setting {name}\n\n" + as_text([plain(head, rows)])


def _metric(name: str) -> Iterator[str]:
    rows = [
        [task, "lower" if metric.direction == "min" else "higher", metric.unit, metric.meaning]
        for task, declared in registry.usable_tasks().items()
        for key, metric in declared.metrics.items()
        if key == name
    ]
    if rows:
        yield f"metric {name}\n\n" + as_text([plain(["task", "better", "unit", "meaning"], rows)])


def _search(name: str) -> Iterator[str]:
    if name in SAMPLERS:
        sampler = SAMPLERS[name]
        given = ", ".join(sampler.settings) or "none"
        yield f"sampler {name}: {sampler.cls.__name__} of Optuna; settings: {given}\n"
    if name in PRUNERS:
        yield f"early stopping {name}; settings: {', '.join(PRUNERS[name]) or 'none'}\n"


def _all_settings() -> Iterator[tuple[str, Setting]]:
    """Yield every setting with its owner, a task or an estimator."""
    for task in registry.usable_tasks():
        for setting in registry.task_settings(task).values():
            yield task, setting
    for family in registry.families():
        for name in registry.usable_estimators(family):
            owner = name if len(registry.families_of(name)) == 1 else f"{name} ({family})"
            for setting in registry.estimator_settings(family, name).values():
                yield owner, setting


def _listed_few(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - MAX_OWNERS
    return ", ".join(names[:MAX_OWNERS]) + (f" and {more} more" if more > 0 else "")


def names() -> set[str]:
    """Return every name that `about` describes."""
    metrics = (name for task in registry.usable_tasks().values() for name in task.metrics)
    named = {*registry.task_names(), *registry.families(), *metrics, *SAMPLERS, *PRUNERS}
    named.update(
        name for family in registry.families() for name in registry.estimator_names(family)
    )
    return named | {setting.name for _, setting in _all_settings()}


def _settings(settings: Iterable[Setting]) -> str:
    rows = [[setting.name, *_described(setting)] for setting in settings]
    return as_text(
        [plain(["setting", "values", "default", "may differ in a pack", "meaning"], rows)]
    )


def _described(setting: Setting) -> list[str]:
    return [_type(setting), _default(setting), _per_replica(setting), setting.meaning]


def _per_replica(setting: Setting) -> str:
    return "yes" if setting.per_replica else ""


def _default(setting: Setting) -> str:
    return NO_DEFAULT if setting.default is inspect.Parameter.empty else f"{setting.default!r}"


def _type(setting: Setting) -> str:
    """Return the values that a setting takes, as a reader writes them."""
    if setting.known is None:
        return _annotation(setting.type)
    forms = [f"{{{key}: FILE}}" for key in setting.known.forms]
    return " | ".join([*setting.known.names(), *forms])


def _annotation(annotation: Any) -> str:
    members = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(map(str, members))
    if members and annotation.__class__.__name__ in ("UnionType", "_UnionGenericAlias"):
        return " | ".join("null" if one is type(None) else _annotation(one) for one in members)
    return getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")


def _listed(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"  {name:<24} {one_line(text)}\n" for name, text in rows)

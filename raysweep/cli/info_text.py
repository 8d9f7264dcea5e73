"""Descriptions of tasks, estimators, settings, metrics and samplers, from their sources."""

import dataclasses
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from raysweep import registry
from raysweep.errors import SpecError, nearest
from raysweep.formats.grid import Grid, plain
from raysweep.formats.text import ANY_WIDTH, UNLIMITED, Screen, as_text
from raysweep.registry import Setting
from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import PRUNERS
from raysweep.sweepfile.ranges import shown
from raysweep.text import filled, one_line, some

MIXED = "may differ"
MIXED_NOTE = "may differ: the runs of one pack may have different values"

SETTING_HEAD = ("setting", "values", "default", MIXED, "meaning")
NO_DEFAULT = "(none)"
KINDS = {"tuple": "list", "str": "text", "bool": "false | true"}  # in the words of a sweep file


def overview(screen: Screen = UNLIMITED) -> str:
    """Return the lists of tasks, estimators, samplers and pruners, and the broken plug-ins."""
    tasks = ((name, registry.summary(type(task))) for name, task in registry.usable_tasks().items())
    text = "tasks\n" + _listed(tasks, screen)
    for family in registry.families():
        classes = (
            (name, registry.summary(cls))
            for name, cls in registry.usable_estimators(family).items()
        )
        text += f"\nestimators ({family})\n" + _listed(classes, screen)
    named = {
        "data sets": registry.usable_data_sets(),
        "samplers": SAMPLERS,
        "early stopping": PRUNERS,
    }
    text += "\n" + "".join(
        _wrapped(f"{kind}: {', '.join(names)}", screen, " " * 4) for kind, names in named.items()
    )
    if broken := registry.broken_plugins():
        text += "\ncannot be used\n" + "".join(f"  {one_line(text)}\n" for text in broken.values())
    return text + "\n'raysweep info NAME' explains one of them, a family, a setting or a metric.\n"


def about(name: str, screen: Screen = UNLIMITED) -> str:
    """Return a description of everything that has a name: a task, a family, a setting, a metric.

    Args:
        name: Name, as in a sweep file.
        screen: The room for the text.

    Raises:
        SpecError: If nothing has that name.
    """
    kinds = (_task, _estimator, _family, _setting, _metric)
    parts = [part(name, screen) for part in kinds]
    text = "\n".join([*itertools.chain(*parts), *_search(name)])
    if not text:
        raise SpecError(
            f"no task, estimator, family, setting or metric {name!r}{nearest(name, names())}; "
            "'raysweep info' lists tasks and estimators"
        )
    return text


def _task(name: str, screen: Screen) -> Iterator[str]:
    if name not in registry.task_names():
        return
    task = registry.task(name)
    yield f"task {name}\n\n{filled(registry.documentation(type(task)), screen.width)}\n"
    if task.family in registry.families():
        yield f"Estimators: those of the family {task.family}.\n"
    else:
        yield "Estimators: none; in a sweep file the rows of the task are under methods.\n"
    yield "Settings:\n" + _settings(registry.task_settings(name).values(), screen)
    metrics = ((key, metric) for key, metric in task.metrics.items())
    yield "Metrics:\n" + _metrics("metric", metrics, screen)


def _estimator(name: str, screen: Screen) -> Iterator[str]:
    for family in registry.families():
        if name not in registry.estimator_names(family):
            continue
        method = registry.estimator_class(family, name)
        text = filled(registry.documentation(method), screen.width)
        yield f"estimator {name} ({family})\n\n{text}\n"
        settings = registry.estimator_settings(family, name).values()
        yield "Settings:\n" + (_settings(settings, screen) if settings else "none\n")


def _family(name: str, screen: Screen) -> Iterator[str]:
    if name not in registry.families():
        return
    takers = [key for key, task in registry.usable_tasks().items() if task.family == name]
    classes = registry.usable_estimators(name).items()
    listed = _listed(((key, registry.summary(cls)) for key, cls in classes), screen)
    tasks = _wrapped(f"Tasks: {', '.join(takers)}.", screen, " " * 4)
    yield f"family {name}\n\n{tasks}\nEstimators:\n{listed}"


def _setting(name: str, screen: Screen) -> Iterator[str]:
    short = name.rpartition(".")[2]
    owners: dict[tuple[str, ...], list[str]] = {}
    for owner, setting in _all_settings():
        if setting.name == short and name in (short, setting.key):
            owners.setdefault((setting.key, *_described(setting)), []).append(owner)
    rows = [[some(names), *described] for described, names in owners.items()]
    if rows:
        head = ["of", "setting", *SETTING_HEAD[1:]]
        yield f"setting {name}\n\n" + as_text([_table(head, rows, long=(0, 2, 5))], screen)


def _metric(name: str, screen: Screen) -> Iterator[str]:
    metrics = [
        (task, metric)
        for task, declared in registry.usable_tasks().items()
        for key, metric in declared.metrics.items()
        if key == name
    ]
    if metrics:
        yield f"metric {name}\n\n" + _metrics("task", metrics, screen)


def _metrics(first: str, metrics: Iterable[tuple[str, Any]], screen: Screen) -> str:
    """Return a table of metrics, each with a name for the first column."""
    rows = [
        [name, "lower" if metric.direction == "min" else "higher", metric.unit, metric.meaning]
        for name, metric in metrics
    ]
    return as_text([plain([first, "better", "unit", "meaning"], rows, long=[3])], screen)


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


def names() -> set[str]:
    """Return every name that `about` describes."""
    metrics = (name for task in registry.usable_tasks().values() for name in task.metrics)
    named = {*registry.task_names(), *registry.families(), *metrics, *SAMPLERS, *PRUNERS}
    named.update(
        name for family in registry.families() for name in registry.estimator_names(family)
    )
    return named | {setting.name for _, setting in _all_settings()}


def _settings(settings: Iterable[Setting], screen: Screen) -> str:
    rows = [[setting.name, *_described(setting)] for setting in settings]
    return as_text([_table(SETTING_HEAD, rows, long=(1, 4))], screen)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], long: Sequence[int]) -> Grid:
    """Return a table of settings; without texts in its last column, there is none."""
    without = 0 if any(cells[-1] for cells in rows) else 1
    cut = len(head) - without
    grid = plain(head[:cut], [cells[:cut] for cells in rows], [at for at in long if at < cut])
    mixed = any(cells[head.index(MIXED)] for cells in rows)
    return dataclasses.replace(grid, notes=(MIXED_NOTE,) if mixed else ())


def _described(setting: Setting) -> list[str]:
    return [_type(setting), _default(setting), _per_replica(setting), setting.meaning]


def _per_replica(setting: Setting) -> str:
    return "yes" if setting.per_replica else ""


def _default(setting: Setting) -> str:
    return NO_DEFAULT if setting.default is inspect.Parameter.empty else shown(setting.default)


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
    name = getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")
    return KINDS.get(name, name)


def _listed(rows: Iterable[tuple[str, str]], screen: Screen) -> str:
    return "".join(
        _wrapped(f"  {name:<24} {one_line(text)}", screen, " " * 27) for name, text in rows
    )


def _wrapped(line: str, screen: Screen, hanging: str) -> str:
    """Return a line in as many as it needs, of which further ones are indented."""
    lines = textwrap.wrap(
        line,
        max(screen.width or ANY_WIDTH, 60),
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "".join(f"{part}\n" for part in lines)

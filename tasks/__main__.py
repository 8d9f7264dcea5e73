"""Prints docs/tasks.md, made from the classes: `python -m raysweep.tasks`."""

import dataclasses
import inspect
import sys
import typing
from typing import Any, Literal

from raysweep import tasks
from raysweep.tasks.base import Task, TrainingSettings
from raysweep.tasks.training.schedules import ScheduledSettings

_HEAD = """# Tasks

Every training problem of the package, by registry name, with its own settings and its metrics; the
settings of `training` are in [sweep-file.md](sweep-file.md), and a task may have other defaults for
them. Settings in italics may differ between the replicas of a pack. This page is the output of
`python -m raysweep.tasks`.

"""
_COMMON = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}
_SCHEDULES = {
    field.name: field
    for field in dataclasses.fields(ScheduledSettings)
    if field.name not in _COMMON
}
_SCHEDULES_HEAD = """## Schedules

Settings of every task that lists them: the estimator's temperature, and its weight eta, can change
with the updates. In a [sweep file](sweep-file.md), `temperature: {from: 1, to: 0.1, over: steps}`
of the estimator sets them.
"""


def page() -> str:
    """Return the page: a list of all tasks, and a section for each."""
    listed = [tasks.get(name) for name in tasks.names()]
    links = [f"- [`{task.name}`](#{task.name}): {_summary(task)}" for task in listed]
    sections = [*(_section(task) for task in listed), _schedules()]
    return _HEAD + "\n".join([*links, "", *sections]).rstrip() + "\n"


def _summary(task: Task[Any]) -> str:
    return (inspect.getdoc(type(task)) or "").partition("\n\n")[0].replace("\n", " ")


def _section(task: Task[Any]) -> str:
    fields = dataclasses.fields(task.settings)
    specific = [field for field in fields if field.name not in {*_COMMON, *_SCHEDULES}]
    changed = [
        f"`{field.name}` = {_shown(field.default)}"
        for field in fields
        if field.name in _COMMON and field.default != _COMMON[field.name]
    ]
    text, _, references = (inspect.getdoc(type(task)) or "").partition("\n\nReferences:\n")
    hints = typing.get_type_hints(task.settings)
    lines = [f"## {task.name}", "", text, "", f"References: {' '.join(references.split())}", ""]
    lines += [_settings_line(field, hints[field.name]) for field in specific]
    if issubclass(task.settings, ScheduledSettings):
        lines.append("- [schedules](#schedules) of the estimator's temperature and eta")
    lines += ["", f"Of `training`: {', '.join(changed)}." if changed else "", "", "Metrics:", ""]
    for name, metric in task.metrics.items():
        unit = f" [{metric.unit}]" if metric.unit else ""
        lines.append(f"- `{name}`{unit}: {metric.meaning}")
    return "\n".join([*lines, ""])


def _schedules() -> str:
    hints = typing.get_type_hints(ScheduledSettings)
    lines = [_settings_line(field, hints[name]) for name, field in _SCHEDULES.items()]
    return "\n".join([_SCHEDULES_HEAD, *lines])


def _settings_line(field: "dataclasses.Field[Any]", declared: Any) -> str:
    name = f"`{field.name}`"
    if field.metadata["per_replica"]:
        name = f"*{name}*"
    choices = ""
    if typing.get_origin(declared) is Literal:
        choices = f" ({' | '.join(typing.get_args(declared))})"
    if known := field.metadata.get("known"):
        forms = [f"{{{key}: FILE}}" for key in known.forms]
        choices = f" ({' | '.join([*known.names(), *forms])})"
    return f"- {name} = {_shown(field.default)}{choices}: {field.metadata['meaning']}"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"[{', '.join(map(_shown, default))}]"
    return "not set" if default is None else str(default)


if __name__ == "__main__":
    sys.stdout.write(page())

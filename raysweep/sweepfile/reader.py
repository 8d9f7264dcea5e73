"""Reader of sweep files: a file becomes a `Spec`, or one error with all its mistakes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.sweep.spec import Arm, Spec
from raysweep.sweepfile import (
    arms,
    consistency,
    document,
    foreign,
    metric_checks,
    together,
    trackers,
)
from raysweep.sweepfile.arms import BuiltArm, CommonSettings, Override
from raysweep.sweepfile.columns import column_types
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.keys import TEMPLATE, TOP
from raysweep.sweepfile.rows import ROWS, Entry, Kind, pairs, unpaired
from raysweep.sweepfile.sections import Sections
from raysweep.sweepfile.source import text_of
from raysweep.sweepfile.task_metrics import TaskMetrics
from raysweep.sweepfile.values import check_keys, member

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def read_spec(
    source: str | Path | Mapping[str, Any],
    changes: Sequence[str] = (),
    changes_place: str = "changes",
) -> Spec:
    """Read the sweep that a file (or a mapping of the same form) describes.

    Args:
        source: Path of a sweep file, or its content as a mapping.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        changes_place: Origin of the changes, for messages about a mistake in one of them.

    Raises:
        SpecError: If the file cannot be read, or with one line for each mistake in it.
    """
    return read_text(*text_of(source), changes, changes_place)


def read_text(
    text: str,
    file: str,
    changes: Sequence[str] = (),
    changes_place: str = "changes",
    *,
    local_files: bool = True,
) -> Spec:
    """Read the sweep that the text of a file describes; see `read_spec`.

    Args:
        text: Text of the sweep file.
        file: Name of the file, with which messages begin.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        changes_place: Origin of the changes, for messages about a mistake in one of them.
        local_files: Whether the file may name other files of this machine, as of images.

    Raises:
        SpecError: With one line for each mistake.
    """
    problems = Problems(local_files=local_files)
    root = document.read(text, file, problems)
    foreign.refuse(root, file)
    # stable: what is set under training stays last, also after a change of all overrides
    for change in sorted(changes, key=lambda change: change.startswith("training.")):
        try:
            _change(root, change, changes_place)
        except SpecError as error:
            problems.lines += error.problems
    if changes:
        text = document.dump_plain(root.plain())
    return _FileReader(root, problems).spec(text)


def _change(root: Node, change: str, origin: str) -> None:
    """Set one dotted key; under `training` it becomes the last override, so that it wins."""
    key, equals, value = change.partition("=")
    where = f"{origin} {key}"
    if not equals or not key:
        raise SpecError(f"{origin}: expected KEY=VALUE, got {change!r}")
    if not isinstance(root.value, dict):
        return
    node = document.parse_value(value, where)
    section, _, name = key.partition(".")
    if section == "training" and name:
        overrides = _child(root, "overrides", [], where)
        if isinstance(overrides.value, list):
            overrides.value.append(Node({name: node}, where, {name: where}))
        return
    parent, rest = root, key
    while rest:
        if not isinstance(parent.value, dict):
            name = key.removesuffix(f".{rest}")
            raise SpecError(
                f"{where}: {key!r} is no key of the file, as {name!r} holds a value, not keys"
            )
        step = next(
            (
                name
                for name in sorted(parent.value, key=len, reverse=True)
                if rest == name or rest.startswith(name + ".")
            ),
            rest.partition(".")[0],
        )
        rest = rest[len(step) + 1 :]
        parent = _child(parent, step, {}, where) if rest else _put(parent, step, node, where)


def _child(parent: Node, key: str, empty: Any, where: str) -> Node:
    if key in parent.value:
        return parent.value[key]
    return _put(parent, key, Node(empty, where), where)


def _put(parent: Node, key: str, node: Node, where: str) -> Node:
    parent.value[key] = node
    parent.key_where[key] = where
    return node


class _FileReader:
    """Reader of the nodes of a file, which raises all mistakes together."""

    def __init__(self, root: Node, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self.sections = Sections(root, self.problems)
        keys = root.value if isinstance(root.value, dict) else {}
        templates = [key for key in keys if key.startswith(TEMPLATE)]
        if not check_keys(root, (*TOP, *templates), "the sweep", self.problems):
            self.problems.stop()
        for key in ("name", "tasks"):
            if not self.has(key):
                self.problems.add(root.where, f"the key {key!r} is missing or has no value; add it")
        if not any(map(self.has, ROWS.values())):
            self.problems.add(
                root.where, "the key 'estimators' is missing or has no value; add it (or 'methods')"
            )

    def has(self, key: str) -> bool:
        return self.sections.get(key) is not None

    def spec(self, text: str) -> Spec:
        search = self.sections.search()
        tasks, rows = self.entries("task"), self.rows()
        common = CommonSettings(
            self.training(),
            self.overrides(tasks, rows),
            ranges=search.sampler != "grid",
        )
        read = self.arms(tasks, rows, common)
        built = [one.arm for one in read if not one.broken]
        seeds, report_seeds = self.sections.seeds()
        metrics = TaskMetrics({entry.label: entry.name for entry in tasks})
        select = self.sections.select(metrics)
        stopping = self.sections.early_stopping(select, metrics)
        budget, arm_budget = self.sections.budgets()
        spec = Spec(
            self.name(),
            tuple(built),
            tuple(entry.label for entry in tasks),
            tuple(entry.label for entry in rows),
            seeds,
            search,
            select,
            self.sections.resources(),
            metrics.meanings,
            column_types(built),
            text,
            report_seeds,
            stopping,
            budget,
            arm_budget,
            metrics.requirements,
            self.sections.description(),
            self.sections.tags(),
            trackers.read(self.sections.get("tracker"), self.problems),
            "method" if self.has("methods") else "estimator",
        )
        self.check_together(spec, [one.arm for one in read if one.knows_its_task])
        self.problems.stop()
        return spec

    def check_together(self, spec: Spec, known: list[Arm]) -> None:
        """Check the sections against each other.

        Args:
            spec: The sweep, without arms that have mistakes.
            known: Arms whose tasks have no mistakes.
        """
        mistakes = (*consistency.mistakes(spec), *metric_checks.mistakes(spec, known))
        for section, mistake in mistakes:
            self.problems.add(self.root.key_where.get(section, self.root.where), mistake)
        node = self.sections.get("search")
        for point in spec.search.first if spec.arms else ():
            for mistake in arms.point_mistakes(point, spec.arms):
                where = node.value["first"].where if node else self.root.where
                self.problems.add(where, mistake)
        if spec.search.settings and node is not None:
            refusal = consistency.sampler_mistake(spec.search)
            if refusal:
                self.problems.add(node.where, refusal)

    def name(self) -> str:
        node = self.sections.get("name")
        if node is None:
            return ""
        if isinstance(node.value, str) and NAME.fullmatch(node.value):
            return node.value
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            self.problems.add(
                node.where,
                f'expected a name as text, got a number; put it in quotes: name: "{node.value}"',
            )
            return ""
        self.problems.add(
            node.where,
            "expected a name of lower-case letters, digits, '.', '_' "
            f"and '-', at most 64, got {node.plain()!r}",
        )
        return ""

    def rows(self) -> list[Entry]:
        """Read the rows of the table, in the order of the file."""
        kinds = sorted(
            (kind for kind, section in ROWS.items() if section in self.root.value),
            key=lambda kind: list(self.root.value).index(ROWS[kind]),
        )
        rows = [entry for kind in kinds for entry in self.entries(kind)]
        seen: dict[str, Entry] = {}
        for entry in rows:
            if entry.label in seen:
                self.problems.add(
                    entry.where,
                    f"the label {entry.label!r} is in estimators and in methods; rename one",
                )
            seen[entry.label] = entry
        return rows

    def entries(self, kind: Kind) -> list[Entry]:
        section = self.sections.get(kind + "s")
        if section is None or not isinstance(section.value, dict) or not section.value:
            where = self.root.key_where.get(kind + "s")
            if where is not None:
                form = "{SETTING: VALUE, ...}" if kind == "method" else f"{{{kind}: NAME}}"
                self.problems.add(where, f"expected at least one {kind}, as LABEL: {form}")
            return []
        entries = [self.entry(kind, label, where, node) for label, where, node in section.items()]
        return [entry for entry in entries if entry is not None]

    def entry(self, kind: Kind, label: str, where: str, node: Node) -> Entry | None:
        if not label.isprintable() or not label.strip():
            self.problems.add(where, f"expected a label that can be printed, got {label!r}")
        needed = set() if kind == "method" else {kind}
        if not isinstance(node.value, dict) or not needed <= node.value.keys():
            form = "SETTING: VALUE" if kind == "method" else f"{kind}: NAME"
            self.problems.add(
                node.where, f"expected {label!r} as {{{form}, ...}}, got {node.plain()!r}"
            )
            return None
        name, name_where = NO_ESTIMATOR, where
        if kind != "method":
            name, name_where = str(node.value[kind].plain()), node.value[kind].where
            try:
                arms.check_name(kind, name)
            except SpecError as error:
                self.problems.add(name_where, str(error))
                return None
        only = None
        if kind != "task" and "tasks" in node.value:
            only = self.labels(node.value["tasks"], "tasks")
        reserved = needed if kind == "task" else {*needed, "tasks"}
        settings = {key: (at, child) for key, at, child in node.items() if key not in reserved}
        return Entry(kind, label, where, name, name_where, settings, only)

    def labels(self, node: Node, section: str) -> tuple[str, ...]:
        """Read a list of labels of `tasks` or `estimators`; one label needs no brackets."""
        known = self.sections.get(section)
        allowed = list(known.value) if known and isinstance(known.value, dict) else []
        items = node.value if isinstance(node.value, list) else [node]
        if not items:
            self.problems.add(node.where, f"expected at least one label of {section}, got []")
        labels = [member(item, allowed, f"a label of {section}", self.problems) for item in items]
        return tuple(label for label in labels if label is not None)

    def training(self) -> dict[str, tuple[str, Node]]:
        node = self.sections.get("training")
        known = {*registry.TRAINING, together.KEY}
        if node is None or not check_keys(node, known, "training", self.problems):
            return {}
        return {key: (where, child) for key, where, child in node.items() if key in known}

    def overrides(self, tasks: list[Entry], rows: list[Entry]) -> tuple[Override, ...]:
        node = self.sections.get("overrides")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self.problems.add(
                node.where, f"expected overrides as a list of mappings, got {node.plain()!r}"
            )
            return ()
        overrides = []
        made = pairs(tasks, rows)
        for item in node.value:
            if not isinstance(item.value, dict):
                self.problems.add(
                    item.where, f"expected an override as a mapping, got {item.plain()!r}"
                )
                continue
            chosen = {
                section: self.labels(item.value[section], section)
                for section in ("tasks", *ROWS.values())
                if section in item.value
            }
            settings = {
                key: (where, value) for key, where, value in item.items() if key not in chosen
            }
            named = [chosen[section] for section in ROWS.values() if section in chosen]
            labels = tuple(label for some in named for label in some) if named else None
            override = Override(item.where, chosen.get("tasks"), labels, settings)
            if made and not any(override.covers(t.label, row.label) for t, row in made):
                words = " or ".join(dict.fromkeys(row.kind for row in rows))
                self.problems.add(
                    item.where,
                    f"the override applies to no {words} on any task; check its tasks and {words}s",
                )
            overrides.append(override)
        return tuple(overrides)

    def arms(self, tasks: list[Entry], rows: list[Entry], common: CommonSettings) -> list[BuiltArm]:
        made = pairs(tasks, rows)
        given = self.sections.get("tasks")
        if given is not None and isinstance(given.value, dict) and len(given.value) == len(tasks):
            for mistake in unpaired(tasks, rows):  # a task that cannot be read may be the partner
                self.problems.add(*mistake)
        for entry in (*tasks, *rows):
            if not any(entry is one for pair in made for one in pair):
                arms.check_alone(entry, common, self.problems)
        built = [arms.build(*pair, common, self.problems) for pair in made]
        return [one for one in built if one is not None]

"""Reader of sweep files: a file becomes a `Spec`, or one error with all its mistakes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.sweep.spec import Arm, Spec
from raysweep.sweepfile import arms, consistency, document, metric_checks, together, trackers
from raysweep.sweepfile.arms import BuiltArm, CommonSettings, Entry, Override
from raysweep.sweepfile.columns import column_types
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.keys import TEMPLATE, TOP
from raysweep.sweepfile.mapping import plain_data
from raysweep.sweepfile.sections import Sections
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
    if isinstance(source, Mapping):
        text, file = document.dump_plain(plain_data(source)), "sweep"
    else:
        file = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            hint = "; give a sweep file, not the name of a sweep" if not Path(file).suffix else ""
            raise SpecError(f"{file}: no such file{hint}") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SpecError(f"{file}: cannot read the sweep file: {reason}") from error
    problems = Problems()
    root = document.read(text, file, problems)
    for change in changes:
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
        for key in ("name", "tasks", "estimators"):
            if key not in root.value or root.value[key].value is None:
                self.problems.add(root.where, f"the key {key!r} is missing or has no value; add it")

    def spec(self, text: str) -> Spec:
        search = self.sections.search()
        tasks, estimators = self.entries("task"), self.entries("estimator")
        common = CommonSettings(
            self.training(),
            self.overrides(tasks, estimators),
            ranges=search.sampler != "grid",
        )
        read = self.arms(tasks, estimators, common)
        built = [one.arm for one in read if not one.broken]
        seeds, report_seeds = self.sections.seeds()
        metrics, shared = self.metrics([entry.name for entry in tasks])
        select = self.sections.select(metrics, shared)
        stopping = self.sections.early_stopping(select, metrics, shared)
        budget, arm_budget = self.sections.budgets()
        spec = Spec(
            self.name(),
            tuple(built),
            tuple(entry.label for entry in tasks),
            tuple(entry.label for entry in estimators),
            seeds,
            search,
            select,
            self.sections.resources(),
            metrics,
            column_types(built),
            text,
            report_seeds,
            stopping,
            budget,
            arm_budget,
            {
                name: metric.needs
                for entry in tasks
                for name, metric in registry.task(entry.name).metrics.items()
                if metric.needs
            },
            self.sections.description(),
            self.sections.tags(),
            trackers.read(self.sections.get("tracker"), self.problems),
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

    def entries(self, kind: Literal["task", "estimator"]) -> list[Entry]:
        section = self.sections.get(kind + "s")
        if section is None or not isinstance(section.value, dict) or not section.value:
            where = self.root.key_where.get(kind + "s")
            if where is not None:
                self.problems.add(
                    where, f"expected at least one {kind}, as LABEL: {{{kind}: NAME}}"
                )
            return []
        entries = [self.entry(kind, label, where, node) for label, where, node in section.items()]
        return [entry for entry in entries if entry is not None]

    def entry(self, kind: str, label: str, where: str, node: Node) -> Entry | None:
        if not label.isprintable() or not label.strip():
            self.problems.add(where, f"expected a label that can be printed, got {label!r}")
        if not isinstance(node.value, dict) or kind not in node.value:
            self.problems.add(
                node.where, f"expected {label!r} as {{{kind}: NAME, ...}}, got {node.plain()!r}"
            )
            return None
        name = node.value[kind]
        try:
            arms.check_name(kind, str(name.plain()))
        except SpecError as error:
            self.problems.add(name.where, str(error))
            return None
        only = None
        reserved = {kind}
        if kind == "estimator":
            reserved.add("tasks")
            if "tasks" in node.value:
                only = self.labels(node.value["tasks"], "tasks")
        settings = {key: (at, child) for key, at, child in node.items() if key not in reserved}
        return Entry(label, where, str(name.plain()), name.where, settings, only)

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

    def overrides(self, tasks: list[Entry], estimators: list[Entry]) -> tuple[Override, ...]:
        node = self.sections.get("overrides")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self.problems.add(
                node.where, f"expected overrides as a list of mappings, got {node.plain()!r}"
            )
            return ()
        overrides = []
        for item in node.value:
            if not isinstance(item.value, dict):
                self.problems.add(
                    item.where, f"expected an override as a mapping, got {item.plain()!r}"
                )
                continue
            chosen = {
                section: self.labels(item.value[section], section)
                for section in ("tasks", "estimators")
                if section in item.value
            }
            settings = {
                key: (where, value) for key, where, value in item.items() if key not in chosen
            }
            override = Override(item.where, chosen.get("tasks"), chosen.get("estimators"), settings)
            pairs = [
                (t.label, e.label)
                for t in tasks
                for e in estimators
                if e.only is None or t.label in e.only
            ]
            if pairs and not any(override.covers(*pair) for pair in pairs):
                self.problems.add(
                    item.where,
                    "the override applies to no estimator on any task; "
                    "check its tasks and estimators",
                )
            overrides.append(override)
        return tuple(overrides)

    def arms(
        self, tasks: list[Entry], estimators: list[Entry], common: CommonSettings
    ) -> list[BuiltArm]:
        pairs = [
            (task, estimator)
            for task in tasks
            for estimator in estimators
            if estimator.only is None or task.label in estimator.only
        ]
        for kind, entries in (("task", tasks), ("estimator", estimators)):
            for entry in entries:
                if not any(entry is one for pair in pairs for one in pair):
                    arms.check_alone(entry, kind, common, self.problems)
        built = [arms.build(*pair, common, self.problems) for pair in pairs]
        return [one for one in built if one is not None]

    def metrics(self, tasks: list[str]) -> tuple[dict[str, dict[str, str]], set[str]]:
        """Return the meaning of each metric of the tasks, and the metrics that every task has."""
        meanings: dict[str, dict[str, str]] = {}
        for name in tasks:
            for key, metric in registry.task(name).metrics.items():
                meanings[key] = {
                    "direction": metric.direction,
                    "unit": metric.unit,
                    "meaning": metric.meaning,
                }
        by_task = [set(registry.task(name).metrics) for name in tasks]
        return meanings, set.intersection(*by_task) if by_task else set()

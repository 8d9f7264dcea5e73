"""Reads a sweep file into a `Spec`, or says everything that is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.search.samplers import SAMPLERS, make_sampler
from raysweep.sweep.options import EarlyStopping, Search, Select
from raysweep.sweep.spec import Arm, Spec
from raysweep.sweepfile import arms, document
from raysweep.sweepfile.arms import Block, Override, Source
from raysweep.sweepfile.columns import column_types
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.sections import Sections
from raysweep.sweepfile.values import check_keys, member

TOP = (
    "name",
    "tasks",
    "estimators",
    "training",
    "overrides",
    "seeds",
    "search",
    "select",
    "early_stopping",
    "budget",
    "resources",
)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def read_spec(
    source: str | Path | Mapping[str, Any],
    changes: Sequence[str] = (),
    changes_place: str = "changes",
) -> Spec:
    """The sweep that a file (or a mapping of the same form) describes.

    Args:
        source: The path of a sweep file, or its content as a mapping.
        changes: `KEY=VALUE` texts that override dotted keys of the file.
        changes_place: The place that messages give for a mistake in one of them.

    Raises:
        SpecError: With one line for each mistake in the file.
    """
    if isinstance(source, Mapping):
        text, file = document.dump_plain(source), "sweep"
    else:
        file = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise SpecError(f"{file}: expected a sweep file, got: {reason}") from error
    root = document.read(text, file)
    for change in changes:
        _change(root, change, changes_place)
    if changes:
        text = document.dump_plain(root.plain())
    return _FileReader(root).spec(text)


def _change(root: Node, change: str, place: str) -> None:
    """Sets one dotted key; under `training` it becomes the last override, so that it wins."""
    key, equals, value = change.partition("=")
    where = f"{place} {key}"
    if not equals or not key:
        raise SpecError(f"{place}: expected KEY=VALUE, got {change!r}")
    if not isinstance(root.value, dict):
        return
    node = document.parse_value(value, where)
    section, _, name = key.partition(".")
    if section == "training" and name:
        overrides = _child(root, "overrides", [], where)
        if isinstance(overrides.value, list):
            overrides.value.append(Node({name: node}, where, {name: where}))
        return
    at, rest = root, key
    while rest:
        if not isinstance(at.value, dict):
            raise SpecError(
                f"{where}: expected a key of the file, got {key!r}, which leads into a plain value"
            )
        step = next(
            (
                each
                for each in sorted(at.value, key=len, reverse=True)
                if rest == each or rest.startswith(each + ".")
            ),
            rest.partition(".")[0],
        )
        rest = rest[len(step) + 1 :]
        at = _child(at, step, {}, where) if rest else _put(at, step, node, where)


def _child(at: Node, key: str, empty: Any, where: str) -> Node:
    return at.value[key] if key in at.value else _put(at, key, Node(empty, where), where)


def _put(at: Node, key: str, node: Node, where: str) -> Node:
    at.value[key] = node
    at.key_where[key] = where
    return node


class _FileReader:
    """One pass over a file's nodes; mistakes are collected and raised together."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.problems = Problems()
        self.sections = Sections(root, self.problems)
        if not check_keys(root, TOP, "the sweep", self.problems):
            self.problems.stop()
        for key in ("name", "tasks", "estimators"):
            if key not in root.value or root.value[key].value is None:
                self.problems.add(root.where, f"expected the key {key!r}, got none; add it")

    def spec(self, text: str) -> Spec:
        search = self.sections.search()
        task_blocks = self.blocks("task")
        estimator_blocks = self.blocks("estimator")
        source = Source(
            self.training(),
            self.overrides(task_blocks, estimator_blocks),
            ranges=search.sampler != "grid",
        )
        found = self.arms(task_blocks, estimator_blocks, source)
        seeds, report_seeds = self.sections.seeds()
        metrics, shared = self.metrics([block.name for block in task_blocks])
        select = self.sections.select(metrics, shared)
        stopping = self.sections.early_stopping(select, metrics, shared)
        budget, arm_budget = self.sections.budgets()
        spec = Spec(
            self.name(),
            tuple(found),
            tuple(block.label for block in task_blocks),
            tuple(block.label for block in estimator_blocks),
            seeds,
            search,
            select,
            self.sections.resources(),
            metrics,
            column_types(found),
            text,
            report_seeds,
            stopping,
            budget,
            arm_budget,
        )
        self.check_together(spec)
        self.problems.stop()
        return spec

    def check_together(self, spec: Spec) -> None:
        """What sections say about each other."""
        for section, mistake in (
            ("select", _selection_mistake(spec.search, spec.select)),
            ("seeds", _report_mistake(spec)),
            ("early_stopping", _racing_mistake(spec.early_stopping, spec.seeds)),
            ("early_stopping", _grace_mistake(spec)),
            ("budget", _budget_mistake(spec)),
        ):
            if mistake:
                where = self.root.key_where.get(section, self.root.where)
                self.problems.add(where, mistake)
        node = self.sections.get("search")
        for point in spec.search.first if spec.arms else ():
            for mistake in arms.point_mistakes(point, spec.arms):
                where = node.value["first"].where if node else self.root.where
                self.problems.add(where, mistake)
        if spec.search.settings and node is not None:
            mistake = _sampler_mistake(spec.search)
            if mistake:
                self.problems.add(node.where, mistake)

    def name(self) -> str:
        node = self.sections.get("name")
        if node is None:
            return ""
        if isinstance(node.value, str) and NAME.fullmatch(node.value):
            return node.value
        self.problems.add(
            node.where,
            "expected a name of lower-case letters, digits, '.', '_' "
            f"and '-', at most 64, got {node.plain()!r}",
        )
        return ""

    def blocks(self, kind: Literal["task", "estimator"]) -> list[Block]:
        section = self.sections.get(kind + "s")
        if section is None or not isinstance(section.value, dict) or not section.value:
            where = self.root.key_where.get(kind + "s")
            if where is not None:
                self.problems.add(
                    where, f"expected at least one labelled {kind}, as LABEL: {{{kind}: NAME}}"
                )
            return []
        found = [self.block(kind, label, where, node) for label, where, node in section.items()]
        return [block for block in found if block is not None]

    def block(self, kind: str, label: str, where: str, node: Node) -> Block | None:
        if not label.isprintable() or not label.strip():
            self.problems.add(where, f"expected a label that can be printed, got {label!r}")
        if not isinstance(node.value, dict) or kind not in node.value:
            self.problems.add(
                node.where, f"expected {label!r} as {{{kind}: NAME, ...}}, got {node.plain()!r}"
            )
            return None
        name = node.value[kind]
        try:
            arms.named(kind, str(name.plain()))
        except SpecError as error:
            self.problems.add(name.where, str(error))
            return None
        only = None
        reserved = {kind}
        if kind == "estimator":
            reserved.add("tasks")
            if "tasks" in node.value:
                only = self.labels(node.value["tasks"], "tasks")
        settings = {key: (at, each) for key, at, each in node.items() if key not in reserved}
        return Block(label, where, str(name.plain()), name.where, settings, only)

    def labels(self, node: Node, section: str) -> tuple[str, ...]:
        """A list of labels of `tasks` or `estimators`; one label may stand without brackets."""
        known = self.sections.get(section)
        allowed = list(known.value) if known and isinstance(known.value, dict) else []
        each_node = node.value if isinstance(node.value, list) else [node]
        if not each_node:
            self.problems.add(node.where, f"expected at least one label of {section}, got []")
        found = [
            member(each, allowed, f"a label of {section}", self.problems) for each in each_node
        ]
        return tuple(label for label in found if label is not None)

    def training(self) -> dict[str, tuple[str, Node]]:
        node = self.sections.get("training")
        if node is None or not check_keys(node, registry.TRAINING, "training", self.problems):
            return {}
        return {key: (where, each) for key, where, each in node.items() if key in registry.TRAINING}

    def overrides(self, tasks: list[Block], estimators: list[Block]) -> tuple[Override, ...]:
        node = self.sections.get("overrides")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self.problems.add(
                node.where, f"expected overrides as a list of mappings, got {node.plain()!r}"
            )
            return ()
        found = []
        for each in node.value:
            if not isinstance(each.value, dict):
                self.problems.add(
                    each.where, f"expected an override as a mapping, got {each.plain()!r}"
                )
                continue
            chosen = {
                section: self.labels(each.value[section], section)
                for section in ("tasks", "estimators")
                if section in each.value
            }
            settings = {
                key: (where, value) for key, where, value in each.items() if key not in chosen
            }
            override = Override(each.where, chosen.get("tasks"), chosen.get("estimators"), settings)
            pairs = [
                (t.label, e.label)
                for t in tasks
                for e in estimators
                if e.only is None or t.label in e.only
            ]
            if pairs and not any(override.covers(*pair) for pair in pairs):
                self.problems.add(
                    each.where,
                    "expected an override of at least one cell, "
                    "got one that covers none; check its tasks and estimators",
                )
            found.append(override)
        return tuple(found)

    def arms(self, tasks: list[Block], estimators: list[Block], source: Source) -> list[Arm]:
        found = []
        for task in tasks:
            for estimator in estimators:
                if estimator.only is None or task.label in estimator.only:
                    found.append(arms.build(task, estimator, source, self.problems))
        return [arm for arm in found if arm is not None]

    def metrics(self, tasks: list[str]) -> tuple[dict[str, dict[str, str]], set[str]]:
        """What each metric of the tasks means, and which of them every task has."""
        found: dict[str, dict[str, str]] = {}
        for name in tasks:
            for metric, about in registry.task(name).metrics.items():
                found[metric] = {
                    "direction": about.direction,
                    "unit": about.unit,
                    "meaning": about.meaning,
                }
        each = [set(registry.task(name).metrics) for name in tasks]
        return found, set.intersection(*each) if each else set()


def _selection_mistake(search: Search, select: Select) -> str | None:
    possible = SAMPLERS[search.sampler].metrics
    if len(select.all) in possible:
        return None
    if select.second is None:
        return (
            f"expected two metrics in select with sampler {search.sampler!r}, which seeks their "
            f"best trade-offs, got one; write select: {{metric: [{select.metric}, OTHER]}}, or "
            "use tpe"
        )
    others = [name for name, each in SAMPLERS.items() if 2 in each.metrics]
    return (
        f"expected one metric in select with sampler {search.sampler!r}, got two; use "
        f"{', '.join(others[:-1])} or {others[-1]}"
    )


def _report_mistake(spec: Spec) -> str | None:
    if spec.report_seeds and spec.select.second is not None:
        return (
            "expected one metric in select with fresh seeds to report, as they are for the one "
            "configuration selected, got two; write seeds as a number or a list"
        )
    return None


def _racing_mistake(stopping: EarlyStopping | None, seeds: tuple[int, ...]) -> str | None:
    if stopping is None or stopping.by_steps or not seeds:
        return None
    start = stopping.settings["start"]
    if start is not None and start >= len(seeds):
        return (
            f"expected racing to start with fewer seeds than there are, got start {start} and "
            f"{len(seeds)} seeds; add seeds, or remove early_stopping"
        )
    return None


def _grace_mistake(spec: Spec) -> str | None:
    stopping = spec.early_stopping
    if stopping is None or not stopping.by_steps or stopping.settings["grace"] is not None:
        return None
    for arm in spec.arms:
        if "training.steps" in arm.searched:
            return (
                f"expected grace where steps are searched, as in {arm.name}: its runs must be "
                f"judged at the same steps; write early_stopping: {{pruner: {stopping.pruner}, "
                "grace: N}"
            )
    return None


def _budget_mistake(spec: Spec) -> str | None:
    least = len(spec.seeds) + len(spec.report_seeds)
    for budget, arms_in in ((spec.budget, len(spec.arms)), (spec.arm_budget, 1)):
        needed = least + (arms_in - 1) * len(spec.report_seeds)
        if budget.runs is not None and budget.runs < needed:
            return (
                f"expected a budget of at least {needed} runs, which one configuration and the "
                f"fresh seeds take, got {budget.runs}"
            )
    return None


def _sampler_mistake(search: Search) -> str | None:
    """What Optuna itself says against a sampler's settings."""
    try:
        make_sampler(search, seed=0)
    except ValueError as error:
        return f"search with {search.sampler!r}: {error}"
    return None

"""Reads a sweep file into a `Spec`, or says everything that is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raysweep import registry
from raysweep.errors import SpecError
from raysweep.spec import arms, document
from raysweep.spec.arms import Block, Override, Source
from raysweep.spec.columns import column_types
from raysweep.spec.document import Node, Problems
from raysweep.spec.model import Arm, Resources, Search, Select, Spec
from raysweep.spec.values import check_keys, member, typed

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
    "resources",
)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SAMPLERS = ("grid", "random", "tpe")
LATER_SAMPLERS = ("gp", "qmc", "cmaes", "nsga2")
MAX_SEED = 999_999  # larger seeds are kept for reporting a selected configuration afresh


def read_spec(source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()) -> Spec:
    """The sweep that a file (or a mapping of the same form) describes.

    Args:
        source: The path of a sweep file, or its content as a mapping.
        changes: `KEY=VALUE` texts that override dotted keys of the file.

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
        _change(root, change)
    if changes:
        text = document.dump_plain(root.plain())
    return _FileReader(root).spec(text)


def _change(root: Node, change: str) -> None:
    """Sets one dotted key; under `training` it becomes the last override, so that it wins."""
    key, equals, value = change.partition("=")
    where = f"--set {key}"
    if not equals or not key:
        raise SpecError(f"--set: expected KEY=VALUE, got {change!r}")
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
        if not check_keys(root, TOP, "the sweep", self.problems):
            self.problems.stop()
        for key in ("name", "tasks", "estimators"):
            if key not in root.value or root.value[key].value is None:
                self.problems.add(root.where, f"expected the key {key!r}, got none; add it")

    def spec(self, text: str) -> Spec:
        search = self.search()
        task_blocks = self.blocks("task")
        estimator_blocks = self.blocks("estimator")
        source = Source(
            self.training(),
            self.overrides(task_blocks, estimator_blocks),
            ranges=search.sampler != "grid",
        )
        found = self.arms(task_blocks, estimator_blocks, source)
        name, seeds, resources = self.name(), self.seeds(), self.resources()
        metrics, shared = self.metrics([block.name for block in task_blocks])
        select = self.select(metrics, shared)
        if "early_stopping" in self.root.value:
            self.problems.add(
                self.root.key_where["early_stopping"],
                "early_stopping is not supported by this version; remove it",
            )
        self.problems.stop()
        return Spec(
            name,
            tuple(found),
            tuple(block.label for block in task_blocks),
            tuple(block.label for block in estimator_blocks),
            seeds,
            search,
            select,
            resources,
            metrics,
            column_types(found),
            text,
        )

    def get(self, key: str) -> Node | None:
        node = self.root.value.get(key)
        return None if node is None or node.value is None else node

    def name(self) -> str:
        node = self.get("name")
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
        section = self.get(kind + "s")
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
        known = self.get(section)
        allowed = list(known.value) if known and isinstance(known.value, dict) else []
        each_node = node.value if isinstance(node.value, list) else [node]
        if not each_node:
            self.problems.add(node.where, f"expected at least one label of {section}, got []")
        found = [
            member(each, allowed, f"a label of {section}", self.problems) for each in each_node
        ]
        return tuple(label for label in found if label is not None)

    def training(self) -> dict[str, tuple[str, Node]]:
        node = self.get("training")
        if node is None or not check_keys(node, registry.TRAINING, "training", self.problems):
            return {}
        return {key: (where, each) for key, where, each in node.items() if key in registry.TRAINING}

    def overrides(self, tasks: list[Block], estimators: list[Block]) -> tuple[Override, ...]:
        node = self.get("overrides")
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

    def seeds(self) -> tuple[int, ...]:
        node = self.get("seeds")
        if node is None:
            self.problems.add(
                self.root.where,
                "expected the key 'seeds', got none; add a number of seeds, or a list of them",
            )
            return ()
        if isinstance(node.value, dict):
            self.problems.add(
                node.where,
                "expected a number of seeds or a list of them, got a "
                "mapping, which this version does not support",
            )
            return ()
        if isinstance(node.value, list):
            values = [typed(each, int, "seeds", self.problems) for each in node.value]
            bad = [v for v in values if v is not None and not 0 <= v <= MAX_SEED]
            if bad or not values or len(set(values)) < len(values):
                self.problems.add(
                    node.where, f"expected distinct seeds from 0 to {MAX_SEED}, got {node.plain()}"
                )
            return tuple(value for value in values if value is not None)
        count = typed(node, int, "seeds", self.problems)
        if count is not None and not 1 <= count <= MAX_SEED:
            self.problems.add(node.where, f"expected 1 to {MAX_SEED} seeds, got {count}")
            return ()
        return tuple(range(count or 0))

    def search(self) -> Search:
        node = self.get("search")
        if node is None:
            return Search()
        if isinstance(node.value, str):
            given = {"sampler": node}
        elif check_keys(node, ("sampler", "configurations", "seed"), "search", self.problems):
            given = node.value
        else:
            return Search()
        if "sampler" not in given:
            self.problems.add(node.where, "expected search: {sampler: NAME, ...}, got no sampler")
            return Search()
        sampler_node = given["sampler"]
        if sampler_node.value in LATER_SAMPLERS:
            self.problems.add(
                sampler_node.where,
                f"sampler {sampler_node.value!r} is not "
                f"supported by this version; use one of {', '.join(SAMPLERS)}",
            )
            return Search(sampler="random")
        sampler: Any = member(sampler_node, SAMPLERS, "a sampler", self.problems)
        count = self.optional(given, "configurations", int, "search")
        if sampler in ("random", "tpe") and count is None:
            self.problems.add(
                node.where,
                f"expected configurations: N with sampler {sampler!r}, "
                "got none; say how many to try per arm",
            )
        if sampler == "grid" and count is not None:
            self.problems.add(
                given["configurations"].where,
                "expected no configurations with a grid, which has its own number; remove the key",
            )
        if count is not None and count < 1:
            self.problems.add(
                given["configurations"].where, f"expected at least 1 configuration, got {count}"
            )
        seed = self.optional(given, "seed", int, "search")
        return Search(sampler or "random", count, seed or 0)

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

    def select(self, metrics: dict[str, dict[str, str]], shared: set[str]) -> Select:
        node = self.get("select")
        if node is None or not shared:
            return Select()
        if not check_keys(node, ("metric", "mode"), "select", self.problems):
            return Select()
        if "metric" not in node.value:
            self.problems.add(node.where, "expected select: {metric: NAME}, got no metric")
            return Select()
        metric = member(node.value["metric"], shared, "a metric of every task", self.problems)
        if metric is None:
            return Select()
        mode: Any = metrics[metric]["direction"]
        if "mode" in node.value:
            given = member(node.value["mode"], ("min", "max"), "min or max", self.problems)
            if given not in (None, mode):
                self.problems.add(
                    node.value["mode"].where,
                    f"expected mode {mode} for {metric!r}, which is better that way, got {given}",
                )
        return Select(metric, mode)

    def resources(self) -> Resources:
        node = self.get("resources")
        declared: dict[str, Any] = {
            "cpu": float,
            "gpu": float,
            "pack": int | Literal["auto"],
            "max_failures": int,
            "checkpoint_s": float,
        }
        if node is None or not check_keys(node, declared, "resources", self.problems):
            return Resources()
        least = {"cpu": 0.01, "gpu": 0, "pack": 1, "max_failures": 1, "checkpoint_s": 0}
        values = {}
        for key, where, each in node.items():
            if key not in declared:
                continue
            value = typed(each, declared[key], f"resources.{key}", self.problems)
            if value is not None and value != "auto" and value < least[key]:
                self.problems.add(where, f"expected {key} of at least {least[key]}, got {value}")
            elif value is not None:
                values[key] = value
        return Resources(**values)

    def optional(self, given: dict[str, Node], key: str, declared: Any, what: str) -> Any:
        if key not in given:
            return None
        return typed(given[key], declared, f"{what}.{key}", self.problems)

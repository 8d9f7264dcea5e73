"""Sections of a sweep file besides its arms: seeds, search, select, and others."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import (
    PRUNERS,
    Budget,
    EarlyStopping,
    Resources,
    Search,
    Select,
)
from raysweep.sweep.spec import NAME
from raysweep.sweepfile import keys
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.keys import MAX_SEED
from raysweep.sweepfile.ranges import typed
from raysweep.sweepfile.task_metrics import TaskMetrics
from raysweep.sweepfile.values import check_keys, member

FIRST_REPORT_SEED = 1_000_000  # fresh seeds for reporting; a list of seeds cannot reach them


@dataclasses.dataclass(frozen=True)
class Sections:
    """Sections of a sweep file.

    Args:
        root: Root node of the file.
        problems: Collector of the mistakes.
    """

    root: Node
    problems: Problems

    def get(self, key: str) -> Node | None:
        """Return the node of a section; None if it is absent or null."""
        node = self.root.value.get(key)
        return None if node is None or node.value is None else node

    def seeds(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Read the seeds to search with, and the fresh seeds to report."""
        node = self.get("seeds")
        if node is None:
            self.problems.add(
                self.root.where,
                "the key 'seeds' is missing; add a number of seeds, or a list of seeds",
            )
            return (), ()
        if not isinstance(node.value, dict):
            return self._seeds(node, "seeds"), ()
        if not check_keys(node, ("search", "report"), "seeds", self.problems):
            return (), ()
        for key in ("search", "report"):
            if key not in node.value:
                self.problems.add(
                    node.where, f"expected seeds: {{search: N, report: M}}, got no {key}"
                )
                return (), ()
        report = typed(node.value["report"], int, "seeds.report", self.problems)
        if report is not None and not 1 <= report <= MAX_SEED:
            self.problems.add(
                node.value["report"].where, f"expected 1 to {MAX_SEED} fresh seeds, got {report}"
            )
            report = None
        fresh = tuple(range(FIRST_REPORT_SEED, FIRST_REPORT_SEED + (report or 0)))
        return self._seeds(node.value["search"], "seeds.search"), fresh

    def _seeds(self, node: Node, key: str) -> tuple[int, ...]:
        if isinstance(node.value, list):
            values = [typed(item, int, key, self.problems) for item in node.value]
            bad = [v for v in values if v is not None and not 0 <= v <= MAX_SEED]
            if bad or not values or len(set(values)) < len(values):
                self.problems.add(
                    node.where, f"expected distinct seeds from 0 to {MAX_SEED}, got {node.plain()}"
                )
            return tuple(value for value in values if value is not None)
        count = typed(node, int, key, self.problems)
        if count is not None and not 1 <= count <= MAX_SEED:
            self.problems.add(node.where, f"expected 1 to {MAX_SEED} seeds, got {count}")
            return ()
        return tuple(range(count or 0))

    def search(self) -> Search:
        """Read the search; its `first` points have their names as in the file."""
        node = self.get("search")
        if node is None:
            return Search()
        if isinstance(node.value, str):
            given = {"sampler": node}
        elif isinstance(node.value, dict):
            given = node.value
        else:
            check_keys(node, (), "search", self.problems)
            return Search()
        if "sampler" not in given:
            self.problems.add(node.where, "expected search: {sampler: NAME, ...}, got no sampler")
            return Search(sampler="random")
        sampler: Any = member(given["sampler"], SAMPLERS, "a sampler", self.problems)
        if sampler is None:
            return Search(sampler="random")
        declared = SAMPLERS[sampler].settings
        if isinstance(node.value, dict):
            known = ("sampler", *keys.SEARCH, *keys.SEARCH_POINTS, *declared)
            check_keys(node, known, f"search with {sampler!r}", self.problems)
        if sampler == "grid":
            return self._grid(given)
        return Search(
            sampler,
            self._configurations(node, given, sampler),
            self._whole(given, "seed") or 0,
            self._whole(given, "batch"),
            self._sampler_settings(sampler, given),
            self._first(given.get("first")),
            self._source(given.get("from")),
        )

    def _sampler_settings(self, sampler: str, given: Mapping[str, Node]) -> dict[str, Any]:
        settings = {
            key: self._at_least(given[key], declared, f"search.{key}", least)
            for key, (declared, least) in SAMPLERS[sampler].settings.items()
            if key in given
        }
        # A wrong value is reported already, and reads as None; a null in the file is a value.
        return {
            key: value
            for key, value in settings.items()
            if value is not None or not given[key].value
        }

    def _grid(self, given: Mapping[str, Node]) -> Search:
        for key, reason in keys.NOT_WITH_GRID.items():
            if key in given:
                self.problems.add(
                    given[key].where,
                    f"a grid search takes no {key}, as {reason}; remove the key",
                )
        seed = self._whole(given, "seed") or 0
        return Search("grid", seed=seed, batch=self._whole(given, "batch"))

    def _configurations(self, node: Node, given: Mapping[str, Node], sampler: str) -> int | None:
        count = self._whole(given, "configurations")
        if "configurations" not in given and self.get("budget") is None:
            self.problems.add(
                node.where,
                f"expected configurations: N with sampler {sampler!r}, "
                "got none; say how many to try per arm, or set a budget",
            )
        return count

    def _first(self, node: Node | None) -> tuple[Mapping[str, Any], ...]:
        if node is None:
            return ()
        points = node.value
        if not isinstance(points, list) or not all(
            isinstance(point.value, dict) and point.value for point in points
        ):
            self.problems.add(
                node.where,
                "expected first as a list of points, such as [{lr: 0.001}], "
                f"got {node.plain()!r}",
            )
            return ()
        return tuple(point.plain() for point in points)

    def _source(self, node: Node | None) -> str | None:
        if node is None:
            return None
        this = self.get("name")
        name = node.plain()
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.problems.add(node.where, f"expected the name of another sweep, got {name!r}")
        elif this is not None and this.plain() == name:
            self.problems.add(
                node.where,
                f"expected the name of another sweep, got this sweep's own name {name!r}; remove "
                "the key, as a sweep always resumes from its own results",
            )
        return name if isinstance(name, str) else None

    def select(self, metrics: TaskMetrics) -> Select:
        """Read the metric, or the two metrics, that select a configuration."""
        node = self.get("select")
        if node is None or not metrics.shared:
            if metrics.shared and Select().metric not in metrics.shared:
                self.problems.add(
                    self.root.where,
                    f"the key 'select' is missing, and not every task has {Select().metric}; add "
                    f"select: {{metric: NAME}} with one of {', '.join(sorted(metrics.shared))}",
                )
            return Select()
        if not check_keys(node, ("metric", "mode"), "select", self.problems):
            return Select()
        if "metric" not in node.value:
            self.problems.add(node.where, "expected select: {metric: NAME}, got no metric")
            return Select()
        named = node.value["metric"]
        several = named.value if isinstance(named.value, list) else [named]
        names = [metrics.read(item, self.problems) for item in several]
        known = [name for name in names if name is not None]
        if len(known) < len(names):
            return Select()
        if not 1 <= len(set(known)) == len(known) <= 2:
            self.problems.add(
                named.where, f"expected one metric, or two different ones, got {named.plain()}"
            )
            return Select()
        directions = [metrics.meanings[name]["direction"] for name in known]
        self._check_modes(node.value.get("mode"), known, directions)
        modes: list[Any] = directions
        second = Select(known[1], modes[1]) if len(known) == 2 else None
        return Select(known[0], modes[0], second)

    def _check_modes(self, node: Node | None, names: list[str], directions: list[str]) -> None:
        if node is None:
            return
        several = node.value if isinstance(node.value, list) else [node]
        given = [member(item, ("min", "max"), "min or max", self.problems) for item in several]
        if len(given) != len(names):
            self.problems.add(
                node.where, f"expected a mode for each of {', '.join(names)}, got {node.plain()}"
            )
            return
        for name, mode, direction in zip(names, given, directions, strict=True):
            if mode not in (None, direction):
                better = "lower" if direction == "min" else "higher"
                self.problems.add(
                    node.where,
                    f"expected mode {direction} for {name!r}, of which {better} values are better, "
                    f"got {mode}",
                )

    def early_stopping(self, select: Select, metrics: TaskMetrics) -> EarlyStopping | None:
        """Read the pruner and its settings; None without early stopping."""
        node = self.get("early_stopping")
        if node is None:
            return None
        given = {"pruner": node} if isinstance(node.value, str) else node.value
        if not isinstance(given, dict) or "pruner" not in given:
            self.problems.add(
                node.where,
                f"expected early_stopping: {{pruner: NAME, ...}}, got {node.plain()!r}",
            )
            return None
        pruner: Any = member(given["pruner"], PRUNERS, "a pruner", self.problems)
        if pruner is None:
            return None
        if isinstance(node.value, dict):
            known = ("pruner", "metric", *PRUNERS[pruner])
            check_keys(node, known, f"early_stopping with {pruner!r}", self.problems)
        settings = self._pruner_settings(pruner, given)
        metric = select.metric
        if "metric" in given:
            if pruner == "racing":
                self.problems.add(
                    given["metric"].where,
                    "racing takes no metric, as it uses the metric in select; remove the key",
                )
            metric = metrics.read(given["metric"], self.problems) or metric
        if select.second is not None:
            self.problems.add(
                node.where,
                "expected one metric in select with early_stopping, which compares "
                f"configurations by one, got {select.metric} and {select.second.metric}; remove "
                "one of them, or early_stopping",
            )
        meaning = metrics.meanings.get(metric)
        mode: Any = meaning["direction"] if meaning else select.mode
        return EarlyStopping(pruner, metric, mode, settings)

    def _pruner_settings(self, pruner: str, given: Mapping[str, Node]) -> dict[str, Any]:
        settings = {}
        for key, (declared, default, least) in PRUNERS[pruner].items():
            name = f"early_stopping.{key}"
            settings[key] = (
                self._at_least(given[key], declared, name, least) if key in given else default
            )
        self._at_most_one(given, "p_threshold", settings.get("p_threshold"))
        return settings

    def _at_most_one(self, given: Mapping[str, Node], key: str, value: float | None) -> None:
        if value is not None and value > 1:
            self.problems.add(given[key].where, f"expected {key} between 0 and 1, got {value:g}")

    def description(self) -> str:
        """Read the text about the sweep."""
        node = self.get("description")
        if node is None or isinstance(node.value, str):
            return "" if node is None else " ".join(node.value.split())
        self.problems.add(node.where, f"expected a text as description, got {node.plain()!r}")
        return ""

    def tags(self) -> tuple[str, ...]:
        """Read the words to find the sweep by."""
        node = self.get("tags")
        if node is None:
            return ()
        given = node.plain()
        if isinstance(given, list) and all(isinstance(tag, str) and tag.strip() for tag in given):
            return tuple(dict.fromkeys(tag.strip() for tag in given))
        self.problems.add(
            node.where,
            f"expected a list of words as tags, such as [baseline, draft], got {given!r}",
        )
        return ()

    def budgets(self) -> tuple[Budget, Budget]:
        """Read the budget of the sweep, and the budget of each arm."""
        node = self.get("budget")
        if node is None:
            return Budget(), Budget()
        if not check_keys(node, (*keys.BUDGET, "arm"), "budget", self.problems):
            return Budget(), Budget()
        arm = node.value.get("arm")
        if arm is not None and not check_keys(arm, keys.BUDGET, "budget.arm", self.problems):
            arm = None
        elif not set(node.value) - {"arm"} and not (arm and arm.value):
            self.problems.add(
                node.where,
                "expected budget: {hours: H}, {runs: N} or {arm: {runs: N}}, got no limit",
            )
        return self._budget(node, "budget"), self._budget(arm, "budget.arm")

    def _budget(self, node: Node | None, section: str) -> Budget:
        if node is None:
            return Budget()
        limits = {}
        for key, declared in keys.BUDGET.items():
            if key in node.value:
                name = f"{section}.{key}"
                limits[key] = self._at_least(node.value[key], declared.type, name, declared.least)
        return Budget(**limits)

    def resources(self) -> Resources:
        """Read the resources of a worker."""
        node = self.get("resources")
        if node is None or not check_keys(node, keys.RESOURCES, "resources", self.problems):
            return Resources()
        given = {
            key: self._at_least(node.value[key], declared.type, f"resources.{key}", declared.least)
            for key, declared in keys.RESOURCES.items()
            if key in node.value
        }
        self._at_most_one(node.value, "max_failed_fraction", given.get("max_failed_fraction"))
        nulls = {key for key in given if node.value[key].value is None}  # others are mistakes
        return Resources(
            **{key: value for key, value in given.items() if value is not None or key in nulls}
        )

    def _whole(self, given: Mapping[str, Node], key: str) -> int | None:
        if key not in given:
            return None
        return self._at_least(given[key], int, f"search.{key}", keys.SEARCH[key].least)

    def _at_least(self, node: Node, declared: Any, name: str, least: float | None) -> Any:
        """Return the node's value; None, with a mistake, if its type is wrong or it is too small.

        Args:
            node: Node of the value.
            declared: Type annotation of the value.
            name: Dotted name of the value, for messages.
            least: Smallest value allowed; None for any.
        """
        value = typed(node, declared, name, self.problems)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and least is not None and value < least:
            key = name.rpartition(".")[2]
            self.problems.add(node.where, f"expected {key} of at least {least}, got {value}")
            return None
        return value

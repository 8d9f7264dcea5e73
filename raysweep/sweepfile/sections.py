"""Reads the sections of a sweep file that are not arms: seeds, search, select, and the like."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal

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
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import check_keys, member, typed

MAX_SEED = 999_999
FIRST_REPORT_SEED = 1_000_000  # fresh seeds for reporting; a list of seeds cannot reach them
METRICS = Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Sections:
    """The sections of one file.

    Args:
        root: The file.
        problems: Takes what is wrong.
    """

    root: Node
    problems: Problems

    def get(self, key: str) -> Node | None:
        """The section's node; None if it is absent or null."""
        node = self.root.value.get(key)
        return None if node is None or node.value is None else node

    def seeds(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The seeds to search with, and the fresh ones to report."""
        node = self.get("seeds")
        if node is None:
            self.problems.add(
                self.root.where,
                "expected the key 'seeds', got none; add a number of seeds, or a list of them",
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

    def _seeds(self, node: Node, what: str) -> tuple[int, ...]:
        if isinstance(node.value, list):
            values = [typed(each, int, what, self.problems) for each in node.value]
            bad = [v for v in values if v is not None and not 0 <= v <= MAX_SEED]
            if bad or not values or len(set(values)) < len(values):
                self.problems.add(
                    node.where, f"expected distinct seeds from 0 to {MAX_SEED}, got {node.plain()}"
                )
            return tuple(value for value in values if value is not None)
        count = typed(node, int, what, self.problems)
        if count is not None and not 1 <= count <= MAX_SEED:
            self.problems.add(node.where, f"expected 1 to {MAX_SEED} seeds, got {count}")
            return ()
        return tuple(range(count or 0))

    def search(self) -> Search:
        """How configurations are found; its `first` points have their names as in the file."""
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
        own = SAMPLERS[sampler].settings
        common = ("sampler", "configurations", "seed", "batch", "first", "from")
        if isinstance(node.value, dict):
            check_keys(node, (*common, *own), f"search with {sampler!r}", self.problems)
        if sampler == "grid":
            return self._grid(given)
        settings = {
            key: self._at_least(given[key], declared, f"search.{key}", least)
            for key, (declared, least) in own.items()
            if key in given
        }
        settings = {  # without what was wrong, which is told already
            key: each for key, each in settings.items() if each is not None or not given[key].value
        }
        return Search(
            sampler,
            self._configurations(node, given, sampler),
            self._whole(given, "seed", 0) or 0,
            self._whole(given, "batch", 1),
            settings,
            self._first(given.get("first")),
            self._source(given.get("from")),
        )

    def _grid(self, given: Mapping[str, Node]) -> Search:
        reasons = {
            "configurations": "which has its own number",
            "first": "which tries every point",
            "from": "which learns from no results",
        }
        for key, reason in reasons.items():
            if key in given:
                self.problems.add(
                    given[key].where,
                    f"expected no {key} with a grid, {reason}; remove the key",
                )
        seed = self._whole(given, "seed", 0) or 0
        return Search("grid", seed=seed, batch=self._whole(given, "batch", 1))

    def _configurations(self, node: Node, given: Mapping[str, Node], sampler: str) -> int | None:
        count = self._whole(given, "configurations", 1)
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
            isinstance(each.value, dict) and each.value for each in points
        ):
            self.problems.add(
                node.where,
                "expected first as a list of points, such as [{lr: 0.001}], "
                f"got {node.plain()!r}",
            )
            return ()
        return tuple(each.plain() for each in points)

    def _source(self, node: Node | None) -> str | None:
        if node is None:
            return None
        own = self.get("name")
        name = node.plain()
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.problems.add(node.where, f"expected the name of another sweep, got {name!r}")
        elif own is not None and own.plain() == name:
            self.problems.add(
                node.where,
                f"expected the name of another sweep, got this one's; {name!r} goes on from its "
                "own results anyway",
            )
        return name if isinstance(name, str) else None

    def select(self, metrics: METRICS, shared: Collection[str]) -> Select:
        """By which metric, or which two, a configuration is selected."""
        node = self.get("select")
        if node is None or not shared:
            return Select()
        if not check_keys(node, ("metric", "mode"), "select", self.problems):
            return Select()
        if "metric" not in node.value:
            self.problems.add(node.where, "expected select: {metric: NAME}, got no metric")
            return Select()
        named = node.value["metric"]
        several = named.value if isinstance(named.value, list) else [named]
        names = [member(each, shared, "a metric of every task", self.problems) for each in several]
        known = [each for each in names if each is not None]
        if len(known) < len(names):
            return Select()
        if not 1 <= len(set(known)) == len(known) <= 2:
            self.problems.add(
                named.where, f"expected one metric, or two different ones, got {named.plain()}"
            )
            return Select()
        directions = [metrics[each]["direction"] for each in known]
        self._check_modes(node.value.get("mode"), known, directions)
        modes: list[Any] = directions
        second = Select(known[1], modes[1]) if len(known) == 2 else None
        return Select(known[0], modes[0], second)

    def _check_modes(self, node: Node | None, names: list[str], directions: list[str]) -> None:
        if node is None:
            return
        several = node.value if isinstance(node.value, list) else [node]
        given = [member(each, ("min", "max"), "min or max", self.problems) for each in several]
        if len(given) != len(names):
            self.problems.add(
                node.where, f"expected a mode for each of {', '.join(names)}, got {node.plain()}"
            )
            return
        for name, mode, direction in zip(names, given, directions, strict=True):
            if mode not in (None, direction):
                self.problems.add(
                    node.where,
                    f"expected mode {direction} for {name!r}, which is better that way, got {mode}",
                )

    def early_stopping(
        self, select: Select, metrics: METRICS, shared: Collection[str]
    ) -> EarlyStopping | None:
        """How poor configurations are stopped."""
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
        own = PRUNERS[pruner]
        if isinstance(node.value, dict):
            keys = ("pruner", "metric", *own)
            check_keys(node, keys, f"early_stopping with {pruner!r}", self.problems)
        settings = self._pruner_settings(pruner, given)
        metric = select.metric
        if "metric" in given:
            if pruner == "racing":
                self.problems.add(
                    given["metric"].where,
                    "expected no metric with racing, which compares what select names; remove it",
                )
            named = member(given["metric"], shared, "a metric of every task", self.problems)
            metric = named or metric
        if select.second is not None:
            self.problems.add(
                node.where,
                "expected one metric in select with early_stopping, which compares "
                f"configurations by one, got {select.metric} and {select.second.metric}",
            )
        mode: Any = metrics[metric]["direction"] if metric in metrics else select.mode
        return EarlyStopping(pruner, metric, mode, settings)

    def _pruner_settings(self, pruner: str, given: Mapping[str, Node]) -> dict[str, Any]:
        found = {}
        for key, (declared, default, least) in PRUNERS[pruner].items():
            what = f"early_stopping.{key}"
            found[key] = (
                self._at_least(given[key], declared, what, least) if key in given else default
            )
        self._at_most_one(given, "p_threshold", found.get("p_threshold"))
        return found

    def _at_most_one(self, given: Mapping[str, Node], key: str, value: float | None) -> None:
        if value is not None and value > 1:
            self.problems.add(given[key].where, f"expected {key} between 0 and 1, got {value:g}")

    def budgets(self) -> tuple[Budget, Budget]:
        """What the sweep may use, and what each of its arms."""
        node = self.get("budget")
        if node is None:
            return Budget(), Budget()
        if not check_keys(node, ("hours", "runs", "arm"), "budget", self.problems):
            return Budget(), Budget()
        arm = node.value.get("arm")
        if arm is not None and not check_keys(arm, ("hours", "runs"), "budget.arm", self.problems):
            arm = None
        elif not set(node.value) - {"arm"} and not (arm and arm.value):
            self.problems.add(
                node.where,
                "expected budget: {hours: H}, {runs: N} or {arm: {runs: N}}, got no limit",
            )
        return self._budget(node, "budget"), self._budget(arm, "budget.arm")

    def _budget(self, node: Node | None, what: str) -> Budget:
        if node is None:
            return Budget()
        found = {}
        for key, declared, least in (("hours", float, 0), ("runs", int, 1)):
            if key in node.value:
                found[key] = self._at_least(node.value[key], declared, f"{what}.{key}", least)
        return Budget(**found)

    def resources(self) -> Resources:
        """What a worker gets."""
        node = self.get("resources")
        declared: dict[str, tuple[Any, float]] = {
            "cpu": (float, 0.01),
            "gpu": (float, 0),
            "pack": (int | Literal["auto"], 1),
            "max_failures": (int, 1),
            "checkpoint_s": (float, 0),
            "max_failed_fraction": (float | None, 0),
            "patience_s": (float | None, 1),
        }
        if node is None or not check_keys(node, declared, "resources", self.problems):
            return Resources()
        found = {
            key: self._at_least(node.value[key], kind, f"resources.{key}", least)
            for key, (kind, least) in declared.items()
            if key in node.value
        }
        self._at_most_one(node.value, "max_failed_fraction", found.get("max_failed_fraction"))
        return Resources(**{key: value for key, value in found.items() if value is not None})

    def _whole(self, given: Mapping[str, Node], key: str, least: int) -> int | None:
        if key not in given:
            return None
        return self._at_least(given[key], int, f"search.{key}", least)

    def _at_least(self, node: Node, declared: Any, what: str, least: float | None) -> Any:
        """The node's value, or None after noting that it is not of the type, or too small."""
        value = typed(node, declared, what, self.problems)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and least is not None and value < least:
            name = what.rpartition(".")[2]
            self.problems.add(node.where, f"expected {name} of at least {least}, got {value}")
            return None
        return value

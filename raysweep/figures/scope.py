"""The part of a sweep that a figure shows, and the curves of its runs."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
from numpy.typing import NDArray

from raysweep.errors import SpecError, nearest
from raysweep.results.labels import chosen
from raysweep.results.selection import Candidate, Cell, candidates, cells
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm

Numbers = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What every kind of figure may be asked for.

    Args:
        select: The metric whose mean over seeds selects a configuration; the sweep file's if None.
        tasks: Labels of the tasks to show; all if there are none.
        estimators: Labels of the estimators to show; all if there are none.
    """

    select: str | None = None
    tasks: str | Sequence[str] = ()
    estimators: str | Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricRequest(Request):
    """What a figure of metrics may be asked for, besides.

    Args:
        metric: The metrics to show; the one that selects, where it can be shown, if none.
    """

    metric: str | Sequence[str] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics asked for, each once."""
        return _each_once(self.metric)

    def check_single(self, kind: str) -> None:
        """Refuses several metrics where a figure can show but one.

        Raises:
            SpecError: If there are several.
        """
        if len(self.metrics) > 1:
            raise SpecError(
                f"expected one for {kind}, got {', '.join(self.metrics)}; draw a figure for each",
                field="metric",
            )


@dataclasses.dataclass(frozen=True)
class SweepView:
    """The part of a sweep that a figure shows, in the file's order.

    Args:
        results: Of the sweep.
        select: The metric that selects configurations.
        tasks: Labels.
        estimators: Labels.
    """

    results: SweepResults
    select: str
    tasks: tuple[str, ...]
    estimators: tuple[str, ...]

    @classmethod
    def of(cls, results: SweepResults, request: Request) -> "SweepView":
        """What the request leaves of a sweep.

        Raises:
            SpecError: If it names what the sweep lacks, or no run has ended.
        """
        spec = results.spec
        select = results.metric(request.select or spec.select.metric, "select")
        tasks = chosen(request.tasks, spec.task_labels, "tasks")
        estimators = chosen(request.estimators, spec.estimator_labels, "estimators")
        if not results.store.count("runs"):
            raise SpecError(
                f"expected ended runs to draw, got none in {results.sweep} yet; "
                f"`raysweep status {results.sweep}` tells how far it is, and "
                f"`raysweep run` on its file goes on"
            )
        return cls(results, select, tasks, estimators)

    @property
    def mode(self) -> str:
        """`min` or `max`: what is better of the metric that selects."""
        return self.results.spec.metrics[self.select]["direction"]

    @property
    def selection(self) -> str:
        """How configurations are selected, in words; empty where there is nothing to select."""
        if all(arm.size == 1 for arm in self.results.spec.arms if self.holds(arm)):
            return ""
        fresh = len(self.results.spec.report_seeds)
        seeds = f"; {fresh} fresh seeds" if fresh else ""
        return f"at the configuration with the {self.mode}imum mean {self.select}{seeds}"

    def holds(self, each: Arm | Cell) -> bool:
        """Whether the figure shows it."""
        if isinstance(each, Arm):
            return each.task_label in self.tasks and each.estimator_label in self.estimators
        return each.task in self.tasks and each.estimator in self.estimators

    def place(self, estimator: str) -> int:
        """Its place in the file: colours stay the same whichever part of a sweep is shown."""
        return self.results.spec.estimator_labels.index(estimator)

    def cells(self) -> list[Cell]:
        """The cells shown, those without a configuration to show among them."""
        runs = self.results.ended(self.select)
        found = cells(self.results.spec, runs, self.select, self.mode, self.select)
        return [cell for cell in found if self.holds(cell)]

    def candidates(
        self, *metrics: str, about: Sequence[str] = ()
    ) -> Iterator[tuple[Arm, list[Candidate]]]:
        """The arms shown and their configurations, with these final metrics.

        Args:
            metrics: Their names.
            about: Other columns of `runs` that the rows shall have.
        """
        spec = self.results.spec
        found = candidates(spec, self.results.ended(self.select, *metrics, about=about))
        return ((arm, each) for arm, each in zip(spec.arms, found, strict=True) if self.holds(arm))


@dataclasses.dataclass(frozen=True)
class Curve:
    """One run's metrics over steps.

    Args:
        steps: `T`, increasing.
        values: `T` for each metric; NaN where there is no finite number.
    """

    steps: NDArray[np.int64]
    values: dict[str, Numbers]


def read_curves(
    results: SweepResults, run_ids: Sequence[str], metrics: Sequence[str]
) -> dict[str, Curve]:
    """The curves of these runs, by run; nothing else of them is read."""
    dataset = results.store.curves_of(run_ids)
    known = [name for name in metrics if name in dataset.schema.names]
    wanted = pads.field("run_id").isin(pa.array(sorted(set(run_ids)), pa.string()))
    table = results.store.read(dataset, ["run_id", "step", *known], wanted)
    table = table.sort_by([("run_id", "ascending"), ("step", "ascending")])
    owners = table["run_id"].combine_chunks().dictionary_encode()
    codes = owners.indices.to_numpy(zero_copy_only=False)
    steps = table["step"].to_numpy()
    columns = {name: _finite(table[name]) for name in known}
    found = {}
    for code, run_id in enumerate(owners.dictionary.to_pylist()):
        own = slice(*np.searchsorted(codes, [code, code + 1]))
        found[run_id] = Curve(steps[own], {name: column[own] for name, column in columns.items()})
    return found


def read_finals(
    results: SweepResults, run_ids: Sequence[str], metric: str
) -> dict[str, tuple[int, float]]:
    """Seed and final metric of those of these runs that have one; nothing else of them is read."""
    name = f"metric.{metric}"
    wanted = pads.field("run_id").isin(pa.array(sorted(set(run_ids)), pa.string()))
    table = results.store.read(results.store.dataset("runs"), ["run_id", "seed", name], wanted)
    rows = zip(*(table[column].to_pylist() for column in ("run_id", "seed", name)), strict=True)
    return {run_id: (seed, value) for run_id, seed, value in rows if value is not None}


def curve_metrics(results: SweepResults, run_ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of these metrics that the curves of the runs have numbers of."""
    found = read_curves(results, run_ids, names).values()
    return [
        name
        for name in names
        if any(np.isfinite(curve.values[name]).any() for curve in found if name in curve.values)
    ]


def without_values(results: SweepResults, metric: str) -> SpecError:
    """The error of a final metric that no run has which ended well."""
    return SpecError(
        f"expected runs that ended well with {metric}, got none in {results.sweep}; "
        f"`raysweep table {results.sweep}` tells how they ended",
        field="metric",
    )


def without_fresh(sweep: str) -> SpecError:
    """The error of a sweep none of whose fresh seeds has ended."""
    return SpecError(
        f"expected ended runs on fresh seeds to draw, got none in {sweep} yet; "
        f"`raysweep run` on its file goes on, `raysweep plot {sweep} --kind heatmap` shows the "
        "search"
    )


def without_curves(
    scope: SweepView, metrics: Sequence[str], run_ids: Sequence[str], field: str = "metric"
) -> SpecError:
    """The error of metrics of which there is no curve, with those of which there is."""
    name = scope.results.sweep
    if not run_ids and scope.results.spec.report_seeds:
        return without_fresh(name)
    known = curve_metrics(scope.results, run_ids, sorted(scope.results.spec.metrics))
    if known:
        return SpecError(
            f"expected a metric with a curve, got {' and '.join(map(repr, metrics))}"
            f"{nearest(metrics[0], known)}; `raysweep table {name} --report M` shows final metrics",
            field=field,
        )
    return SpecError(
        f"expected curves of runs that ended well, got none in {name}; "
        f"`raysweep status {name}` tells how its runs ended, and a `report_every` below "
        "`steps` in its file gives curves"
    )


def _finite(column: pa.ChunkedArray) -> Numbers:
    """A column's numbers, NaN where there is none."""
    values = np.array(column.to_numpy(), np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _each_once(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))

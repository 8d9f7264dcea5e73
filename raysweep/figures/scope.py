"""Part of a sweep that a figure shows, and the curves of its runs."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
from numpy.typing import NDArray

from raysweep.errors import SpecError, nearest
from raysweep.results.configuration_stats import Candidate
from raysweep.results.labels import chosen
from raysweep.results.selection import Cell, Selection, candidates
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm
from raysweep.text import counted

Numbers = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Options of every kind of figure.

    Args:
        select: Metric whose mean over seeds selects a configuration; the sweep file's if None.
        tasks: Labels of the tasks to show; all tasks if empty.
        estimators: Labels of the estimators to show; all estimators if empty.
        columns: Another name of `tasks`, as in tables.
        rows: Another name of `estimators`, as in tables.
        methods: Another name of `estimators`, as in tables.
    """

    select: str | None = None
    tasks: str | Sequence[str] = ()
    estimators: str | Sequence[str] = ()
    columns: str | Sequence[str] = ()
    rows: str | Sequence[str] = ()
    methods: str | Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricRequest(Request):
    """Options of a figure of one metric or several.

    Args:
        metric: Metrics to show; if empty, the one that selects, where it can be shown.
    """

    metric: str | Sequence[str] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The requested metrics without duplicates."""
        return _unique(self.metric)

    def check_single(self, kind: str) -> None:
        """Check that no more than one metric is requested, for a figure that shows only one.

        Raises:
            SpecError: If there are several.
        """
        if len(self.metrics) > 1:
            raise SpecError(
                f"expected one metric for {kind}, got {', '.join(self.metrics)}; "
                "draw a figure for each",
                field="metric",
            )


@dataclasses.dataclass(frozen=True)
class SweepView:
    """Part of a sweep that a figure shows, in the order of the sweep file.

    Args:
        results: Results of the sweep.
        select: Metric that selects configurations.
        tasks: Labels of the tasks shown.
        estimators: Labels of the estimators shown.
    """

    results: SweepResults
    select: str
    tasks: tuple[str, ...]
    estimators: tuple[str, ...]

    @classmethod
    def of(
        cls, results: SweepResults, request: Request, *, needs_ended: bool = True
    ) -> "SweepView":
        """Return the part of a sweep that a request selects.

        Args:
            results: Results of the sweep.
            request: Options of the figure.
            needs_ended: Whether the figure shows ended runs alone.

        Raises:
            SpecError: If it names something that the sweep lacks, or no run has ended.
        """
        spec = results.spec
        select = results.metric(request.select or spec.select.metric, "select")
        tasks = chosen(vars(request), "tasks", spec.task_labels)
        estimators = chosen(vars(request), "estimators", spec.estimator_labels)
        if needs_ended and not results.store.count("runs"):
            raise without_ended(results.sweep)
        return cls(results, select, tasks, estimators)

    @property
    def mode(self) -> str:
        """Direction of the metric that selects: `min` or `max`."""
        return self.results.spec.metrics[self.select]["direction"]

    @property
    def selection(self) -> str:
        """Caption text on how configurations are selected; empty if nothing is searched."""
        if all(arm.size == 1 for arm in self.results.spec.arms if self.holds(arm)):
            return ""
        fresh = len(self.results.spec.report_seeds)
        seeds = f"; {counted(fresh, 'fresh seed')}" if fresh else ""
        return f"at the configuration with the {self.mode}imum mean {self.select}{seeds}"

    def holds(self, cell: Arm | Cell) -> bool:
        """Return whether the figure shows an arm or a cell."""
        if isinstance(cell, Arm):
            return cell.task_label in self.tasks and cell.estimator_label in self.estimators
        return cell.task in self.tasks and cell.estimator in self.estimators

    def estimator_index(self, estimator: str) -> int:
        """Return an estimator's index in the sweep file, which decides its colour everywhere."""
        return self.results.spec.estimator_labels.index(estimator)

    def selections(self, *metrics: str) -> list[Selection]:
        """Return the selections of the arms shown, whose cells may report these metrics too."""
        return [
            one for one in self.results.selections(self.select, *metrics) if self.holds(one.arm)
        ]

    def cells(self) -> list[Cell]:
        """Return the cells shown, including those without a configuration to show."""
        return [one.cell(self.select) for one in self.selections()]

    @property
    def arms(self) -> list[Arm]:
        """The arms shown."""
        return [arm for arm in self.results.spec.arms if self.holds(arm)]

    def candidates(
        self, *metrics: str, about: Sequence[str] = ()
    ) -> Iterator[tuple[Arm, list[Candidate]]]:
        """Return the arms shown and their configurations, with these final metrics.

        Args:
            metrics: Names of the metrics to read.
            about: Other columns of `runs` to read.
        """
        spec = self.results.spec
        by_arm = candidates(spec, self.results.ended(self.select, *metrics, about=about))
        pairs = zip(spec.arms, by_arm, strict=True)
        return ((arm, configurations) for arm, configurations in pairs if self.holds(arm))


@dataclasses.dataclass(frozen=True)
class Curve:
    """Metrics of one run over steps.

    Args:
        steps: Steps of the points, `T`, increasing.
        values: Values of each metric, `T`; NaN where there is no finite number.
    """

    steps: NDArray[np.int64]
    values: dict[str, Numbers]


def read_curves(
    results: SweepResults, run_ids: Sequence[str], metrics: Sequence[str]
) -> dict[str, Curve]:
    """Return the curves of these runs by run id; only the columns needed are read."""
    dataset = results.store.curves_of(run_ids)
    known = [name for name in metrics if name in dataset.schema.names]
    wanted = pads.field("run_id").isin(pa.array(sorted(set(run_ids)), pa.string()))
    table = results.store.read(dataset, ["run_id", "step", *known], wanted)
    table = table.sort_by([("run_id", "ascending"), ("step", "ascending")])
    owners = table["run_id"].combine_chunks().dictionary_encode()
    codes = owners.indices.to_numpy(zero_copy_only=False)
    steps = table["step"].to_numpy()
    columns = {name: _finite(table[name]) for name in known}
    curves = {}
    for code, run_id in enumerate(owners.dictionary.to_pylist()):
        rows = slice(*np.searchsorted(codes, [code, code + 1]))
        values = {name: column[rows] for name, column in columns.items()}
        curves[run_id] = Curve(steps[rows], values)
    return curves


def curve_metrics(results: SweepResults, run_ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the metrics among `names` for which the curves of the runs have finite values."""
    curves = read_curves(results, run_ids, names).values()
    return [
        name
        for name in names
        if any(np.isfinite(curve.values[name]).any() for curve in curves if name in curve.values)
    ]


def without_values(results: SweepResults, metric: str) -> SpecError:
    """Return the error for a final metric that no successful run has."""
    return SpecError(
        f"no run of {results.sweep} has finished with a value of {metric}; "
        f"`raysweep table {results.sweep}` shows how its runs ended",
        field="metric",
    )


def without_positive(metric: str, task: str | None = None) -> SpecError:
    """Return the error for a logarithmic axis of a metric without a positive value."""
    on = "" if task is None else f" on {task}"
    return SpecError(
        f"expected positive values of {metric}, got none{on}; leave log out", field="log"
    )


def without_ended(sweep: str, note: str = "") -> SpecError:
    """Return the error for a sweep of which no run has ended, with a note on those in training."""
    return SpecError(
        f"nothing to draw yet: no run of {sweep} has finished{note}; `raysweep status {sweep}` "
        "shows its progress, and `raysweep run` on its sweep file continues it"
    )


def without_fresh(sweep: str) -> SpecError:
    """Return the error for a sweep of which no run on a fresh seed has ended."""
    return SpecError(
        f"nothing to draw yet: no run of {sweep} on fresh seeds has finished; `raysweep run` on "
        f"its sweep file continues it, and `raysweep plot {sweep} --kind heatmap` shows the search"
    )


def without_curves(
    view: SweepView, metrics: Sequence[str], run_ids: Sequence[str], field: str = "metric"
) -> SpecError:
    """Return the error for metrics without curves, which names the metrics that have curves."""
    name = view.results.sweep
    if not run_ids and view.results.spec.report_seeds:
        return without_fresh(name)
    known = curve_metrics(view.results, run_ids, sorted(view.results.spec.metrics))
    if known:
        return SpecError(
            f"expected a metric with curves, got {' and '.join(map(repr, metrics))}"
            f"{nearest(metrics[0], known)}; `raysweep table {name} --report M` shows final metrics",
            field=field,
        )
    return SpecError(
        f"no finished run of {name} has curves; `raysweep status {name}` shows how its runs "
        "ended, and a `report_every` below `steps` in its sweep file records curves"
    )


def _finite(column: pa.ChunkedArray) -> Numbers:
    """Return the numbers of a column, NaN where one is missing or not finite."""
    values = np.array(column.to_numpy(), np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _unique(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))

"""Paths: where two metrics go together while runs train, a line for each run."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.curves import MAX_POINTS
from raysweep.figures.scope import (
    Curve,
    Numbers,
    Request,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
)
from raysweep.results.sweep_results import SweepResults


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathsRequest(Request):
    """What paths may be asked for, besides what every figure may.

    Args:
        x: Metrics of the horizontal axis.
        y: Metrics of the vertical axis, one for each `x`.
    """

    x: str | Sequence[str] = ()
    y: str | Sequence[str] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The planes' metrics.

        Raises:
            SpecError: If there is not one `y` for each `x`, or none.
        """
        x = [self.x] if isinstance(self.x, str) else list(self.x)
        y = [self.y] if isinstance(self.y, str) else list(self.y)
        if not x or len(x) != len(y):
            raise SpecError(
                f"expected a metric for each y, at least one, got {len(x)} and {len(y)}", field="x"
            )
        return tuple(zip(x, y, strict=True))


@dataclasses.dataclass(frozen=True)
class Path:
    """One pair of metrics of one run.

    Args:
        estimator: Label.
        place: The estimator's in the sweep file.
        pair: Which pair, from 0.
        x: `T`, in the order of steps.
        y: `T`.
        provisional: Whether planned seeds of the configuration have yet to end.
    """

    estimator: str
    place: int
    pair: int
    x: Numbers
    y: Numbers
    provisional: bool


@dataclasses.dataclass(frozen=True)
class PathsPanel:
    """One task."""

    task: str
    paths: tuple[Path, ...]


@dataclasses.dataclass(frozen=True)
class PathsFigure:
    """Panels of paths.

    Args:
        sweep: Its name.
        x_label: Names of the horizontal axis, with their unit.
        y_label: Likewise of the vertical one.
        pairs: How many pairs of metrics there are.
        panels: Task by task.
        selection: How configurations were selected, in words.
        runs: Number of runs that the figure is of.
        lacking: Number of those that have no curves, as their files were lost.
    """

    sweep: str
    x_label: str
    y_label: str
    pairs: int
    panels: tuple[PathsPanel, ...]
    selection: str
    runs: int
    lacking: int


def prepare(results: SweepResults, request: PathsRequest) -> PathsFigure:
    """The paths of a sweep.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    pairs = request.pairs
    for x, y in pairs:
        results.metric(x, "x")
        results.metric(y, "y")
    scope = SweepView.of(results, request)
    cells = [cell for cell in scope.cells() if cell.run_ids]
    run_ids = [run_id for cell in cells for run_id in cell.run_ids]
    metrics = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    curves = read_curves(results, run_ids, metrics)
    panels = []
    for task in scope.tasks:
        found = [
            Path(
                cell.estimator,
                scope.place(cell.estimator),
                place,
                *points,
                cell.status == "provisional",
            )
            for cell in cells
            if cell.task == task
            for run_id in cell.run_ids
            for place, pair in enumerate(pairs)
            if (points := _points(curves.get(run_id), pair))
        ]
        panels.append(PathsPanel(task, tuple(sorted(found, key=lambda path: path.place))))
    if not any(panel.paths for panel in panels):
        known = curve_metrics(results, run_ids, metrics)
        unknown = [metric for metric in metrics if metric not in known]
        raise without_curves(scope, unknown or metrics, run_ids, "x, y")
    names = ([x for x, _ in pairs], [y for _, y in pairs])
    labels = [_label(results, own) for own in names]
    return PathsFigure(
        results.sweep,
        labels[0],
        labels[1],
        len(pairs),
        tuple(panels),
        scope.selection,
        runs=len(set(run_ids)),
        lacking=len(set(run_ids) - curves.keys()),
    )


def _points(curve: Curve | None, pair: tuple[str, str]) -> tuple[Numbers, Numbers] | None:
    """The finite points of a run's path, at most `MAX_POINTS`; None if there is none."""
    if curve is None or not set(pair) <= set(curve.values):
        return None
    x, y = (curve.values[name] for name in pair)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(known):
        return None
    shown = known[np.linspace(0, len(known) - 1, min(len(known), MAX_POINTS)).round().astype(int)]
    return x[shown], y[shown]


def _label(results: SweepResults, names: Sequence[str]) -> str:
    once = list(dict.fromkeys(names))
    units = {results.spec.metrics[name]["unit"] for name in once}
    unit = units.pop() if len(units) == 1 else ""
    return ", ".join(once) + (f" [{unit}]" if unit else "")

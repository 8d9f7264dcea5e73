"""Paths of runs in the plane of two metrics, a line for each run."""

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
    """Options of a figure of paths.

    Args:
        x: Metrics of the horizontal axis.
        y: Metrics of the vertical axis, one for each `x`.
    """

    x: str | Sequence[str] = ()
    y: str | Sequence[str] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an `x` and a `y`.

        Raises:
            SpecError: If there are not as many `y` as `x`, or none.
        """
        x = [self.x] if isinstance(self.x, str) else list(self.x)
        y = [self.y] if isinstance(self.y, str) else list(self.y)
        if not x or len(x) != len(y):
            raise SpecError(
                f"expected as many metrics for x as for y, at least one, "
                f"got {len(x)} for x and {len(y)} for y",
                field="x",
            )
        return tuple(zip(x, y, strict=True))


@dataclasses.dataclass(frozen=True)
class Path:
    """Path of one run for one pair of metrics.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        pair: Index of the pair of metrics.
        x: Values of the first metric, `T`, in the order of steps.
        y: Values of the second metric, `T`, at the same steps.
        provisional: Whether some planned seeds of the configuration have not ended yet.
    """

    estimator: str
    index: int
    pair: int
    x: Numbers
    y: Numbers
    provisional: bool


@dataclasses.dataclass(frozen=True)
class PathsPanel:
    """Paths of one task."""

    task: str
    paths: tuple[Path, ...]


@dataclasses.dataclass(frozen=True)
class PathsFigure:
    """Panels of paths.

    Args:
        sweep: Name of the sweep.
        x_label: Metrics of the horizontal axis, with their unit.
        y_label: Metrics of the vertical axis, with their unit.
        pairs: Number of pairs of metrics.
        panels: Panels, one for each task.
        selection: Caption text on how configurations were selected.
        runs: Number of runs in the figure.
        lacking: Number of these runs without curves, as their files were lost.
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
    """Return the paths of a sweep.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    pairs = request.pairs
    for x, y in pairs:
        results.metric(x, "x")
        results.metric(y, "y")
    view = SweepView.of(results, request)
    cells = [cell for cell in view.cells() if cell.run_ids]
    run_ids = [run_id for cell in cells for run_id in cell.run_ids]
    metrics = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    curves = read_curves(results, run_ids, metrics)
    panels = []
    for task in view.tasks:
        paths = [
            Path(
                cell.estimator,
                view.estimator_index(cell.estimator),
                pair_index,
                *points,
                cell.status == "provisional",
            )
            for cell in cells
            if cell.task == task
            for run_id in cell.run_ids
            for pair_index, pair in enumerate(pairs)
            if (points := _points(curves.get(run_id), pair))
        ]
        panels.append(PathsPanel(task, tuple(sorted(paths, key=lambda path: path.index))))
    if not any(panel.paths for panel in panels):
        known = curve_metrics(results, run_ids, metrics)
        unknown = [metric for metric in metrics if metric not in known]
        raise without_curves(view, unknown or metrics, run_ids, "x, y")
    return PathsFigure(
        results.sweep,
        _label(results, [x for x, _ in pairs]),
        _label(results, [y for _, y in pairs]),
        len(pairs),
        tuple(panels),
        view.selection,
        runs=len(set(run_ids)),
        lacking=len(set(run_ids) - curves.keys()),
    )


def _points(curve: Curve | None, pair: tuple[str, str]) -> tuple[Numbers, Numbers] | None:
    """Return the finite points of a run's path, at most `MAX_POINTS`; None if there is none."""
    if curve is None or not set(pair) <= set(curve.values):
        return None
    x, y = (curve.values[name] for name in pair)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(known):
        return None
    shown = known[np.linspace(0, len(known) - 1, min(len(known), MAX_POINTS)).round().astype(int)]
    return x[shown], y[shown]


def _label(results: SweepResults, names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    units = {results.spec.metrics[name]["unit"] for name in unique}
    unit = units.pop() if len(units) == 1 else ""
    return ", ".join(unique) + (f" [{unit}]" if unit else "")

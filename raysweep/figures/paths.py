"""Paths of runs in the plane of two metrics, a line for each run."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.curves import MAX_POINTS
from raysweep.figures.drawing import Numbers, axis_label, sentence
from raysweep.figures.line_charts import Axis, Line, LineFigure, Look, Panel, rows_of
from raysweep.figures.line_runs import lost_curves
from raysweep.figures.scope import (
    Curve,
    Request,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
)
from raysweep.figures.thinning import evenly
from raysweep.results.selection import Cell
from raysweep.results.sweep_results import SweepResults

# At the ends of paths, one for each pair of metrics.
END_MARKS = ("circle", "square", "diamond", "triangle-down", "triangle-up")


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


def prepare(results: SweepResults, request: PathsRequest) -> LineFigure:
    """Return the paths of a sweep: a thin line for each run and pair of metrics.

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
    x_axis, y_axis = (_axis(results, names) for names in zip(*pairs, strict=True))
    panels = []
    for task in view.tasks:
        of_task = [cell for cell in cells if cell.task == task]
        lines = [line for cell in of_task for line in _paths(view, cell, curves, pairs)]
        lines.sort(key=lambda line: line.index)
        panels.append(Panel(title=task, lines=tuple(lines), x=x_axis, y=y_axis))
    lines = [line for panel in panels for line in panel.lines]
    if not lines:
        known = curve_metrics(results, run_ids, metrics)
        unknown = [metric for metric in metrics if metric not in known]
        raise without_curves(view, unknown or metrics, run_ids, "x, y")
    is_provisional = any(line.state == "provisional" for line in lines)
    parts = [
        f"{results.sweep}: {_ends(pairs)}",
        view.selection,
        "pale (?): provisional" if is_provisional else "",
        lost_curves(set(run_ids), curves),
    ]
    return LineFigure(
        panels=tuple(panels),
        rows=rows_of(lines),
        caption=sentence(parts),
        numbers=_numbers(panels, pairs),
        look=Look(width=0.7, opacity=0.6, is_ordered=True, fills_ends=True),
    )


def _paths(
    view: SweepView, cell: Cell, curves: Mapping[str, Curve], pairs: Sequence[tuple[str, str]]
) -> Iterator[Line]:
    """Return the paths of a cell's runs, run by run, with the same pair's mark at their ends."""
    for run_id in cell.run_ids:
        for (x, y), end in zip(pairs, itertools.cycle(END_MARKS), strict=False):
            curve = curves.get(run_id)
            if curve is None or not {x, y} <= set(curve.values):
                continue
            known = np.flatnonzero(np.isfinite(curve.values[x]) & np.isfinite(curve.values[y]))
            shown = known[evenly(len(known), MAX_POINTS)] if len(known) else known
            if len(shown):
                yield Line(
                    estimator=cell.estimator,
                    index=view.estimator_index(cell.estimator),
                    x=curve.values[x][shown],
                    y=curve.values[y][shown],
                    state=cell.status,
                    label=f"{y} over {x}",
                    end=end,
                )


def _axis(results: SweepResults, names: Sequence[str]) -> Axis:
    """Return the axis of one metric or several."""
    unique = list(dict.fromkeys(names))
    units = {results.spec.metrics[name]["unit"] for name in unique}
    title = axis_label(", ".join(unique), units.pop() if len(units) == 1 else "")
    return Axis(title=title, tip=title, options={"tickCount": 5})


def _ends(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the part of a caption on the marks at the ends of paths."""
    if len(pairs) == 1:
        return "a line for each seed, a mark where it ends"
    names = zip(itertools.cycle(END_MARKS), pairs, strict=False)
    marks = ", ".join(f"{mark}: {y} over {x}" for mark, (x, y) in names)
    return f"a line for each seed and pair, a mark where it ends ({marks})"


def _numbers(panels: Sequence[Panel], pairs: Sequence[tuple[str, str]]) -> Numbers:
    """Return the end of every path as a table."""
    head = ("row", "task", "x", "y", "x at the end", "y at the end", "state")
    names = {f"{y} over {x}": (x, y) for x, y in pairs}
    rows = [
        (
            *(line.estimator, panel.title, *names[line.label]),
            *(f"{line.x[-1]:.6g}", f"{line.y[-1]:.6g}", line.state),
        )
        for panel in panels
        for line in panel.lines
    ]
    return Numbers.of(head, rows)

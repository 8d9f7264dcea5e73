"""Paths of runs in the plane of two metrics, a line for each run."""

import dataclasses
from collections.abc import Sequence

import altair as alt
import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.curves import MAX_POINTS
from raysweep.figures.drawing import (
    PALE,
    Chart,
    Drawing,
    Numbers,
    PanelChart,
    Records,
    Rows,
    opacity,
    placeholder,
    records,
    row_tip,
    sentence,
    zoom,
)
from raysweep.figures.line_charts import lost_curves
from raysweep.figures.scope import (
    Curve,
    Request,
    SweepView,
    curve_metrics,
    read_curves,
    without_curves,
)
from raysweep.figures.scope import Numbers as Values
from raysweep.figures.thinning import evenly
from raysweep.results.sweep_results import SweepResults

# At the ends of paths, one for each pair of metrics.
END_MARKS = ("circle", "square", "diamond", "triangle-down", "triangle-up")
THIN = 0.6  # opacity of a line


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
    x: Values
    y: Values
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
        pairs: Pairs of a metric of the horizontal axis and one of the vertical axis.
        panels: Panels, one for each task.
        selection: Caption text on how configurations were selected.
        runs: Number of runs in the figure.
        lacking: Number of these runs without curves, as their files were lost.
    """

    sweep: str
    x_label: str
    y_label: str
    pairs: tuple[tuple[str, str], ...]
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
        pairs,
        tuple(panels),
        view.selection,
        runs=len(set(run_ids)),
        lacking=len(set(run_ids) - curves.keys()),
    )


def _points(curve: Curve | None, pair: tuple[str, str]) -> tuple[Values, Values] | None:
    """Return the finite points of a run's path, at most `MAX_POINTS`; None if there is none."""
    if curve is None or not set(pair) <= set(curve.values):
        return None
    x, y = (curve.values[name] for name in pair)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(known):
        return None
    shown = known[evenly(len(known), MAX_POINTS)]
    return x[shown], y[shown]


def _label(results: SweepResults, names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    units = {results.spec.metrics[name]["unit"] for name in unique}
    unit = units.pop() if len(units) == 1 else ""
    return ", ".join(unique) + (f" [{unit}]" if unit else "")


def paths_drawing(prepared: PathsFigure) -> Drawing:
    """Return the drawing of paths: a panel for each task, a thin line for each run and pair."""
    paths = [path for panel in prepared.panels for path in panel.paths]
    rows = Rows.of(paths)
    panels = tuple(_panel(prepared, index, rows) for index in range(len(prepared.panels)))
    return Drawing(panels, _caption(prepared), _numbers(prepared), rows=rows.entries)


def _panel(prepared: PathsFigure, index: int, rows: Rows) -> PanelChart:
    panel, name = prepared.panels[index], f"paths-{index}"
    if not panel.paths:
        return PanelChart(panel.task, placeholder("no curve"), {})
    lines: Records = []
    for run, path in enumerate(panel.paths):
        lines += _records(path, run, prepared.pairs[path.pair], rows.texts[path.index])
    ends = [record for record in lines if record["is_last"]]
    marks = [END_MARKS[pair % len(END_MARKS)] for pair in range(len(prepared.pairs))]

    def draw(x_title: bool, y_title: bool) -> Chart:
        scale = alt.Scale(zero=False, nice=False, padding=4)
        x = alt.X("x:Q", title=prepared.x_label if x_title else None, scale=scale)
        y = alt.Y("y:Q", title=prepared.y_label if y_title else None, scale=scale)
        return _chart(name, rows, (x.axis(tickCount=5), y.axis(tickCount=4)), marks)

    data = {name: lines, f"{name}-ends": ends}
    return PanelChart(panel.task, draw, data)


def _records(path: Path, run: int, pair: tuple[str, str], text: str) -> Records:
    count = len(path.x)
    return records(
        x=path.x,
        y=path.y,
        order=np.arange(count),
        run=run,
        mark=path.pair,
        pair=f"{pair[1]} over {pair[0]}",
        row=text,
        opacity=PALE * THIN if path.provisional else THIN,
        is_last=np.arange(count) == count - 1,
    )


def _chart(name: str, rows: Rows, axes: tuple[alt.X, alt.Y], marks: Sequence[str]) -> Chart:
    tips = [
        row_tip(),
        alt.Tooltip("pair:N"),
        alt.Tooltip("x:Q", format=".6g"),
        alt.Tooltip("y:Q", format=".6g"),
    ]

    def over(data: str) -> alt.Chart:
        chart = alt.Chart(alt.NamedData(data))
        encodings = {"x": axes[0], "y": axes[1], "color": rows.color, "opacity": opacity()}
        return chart.encode(**encodings, detail="run:N", tooltip=tips)

    scale = alt.Scale(domain=list(range(len(marks))), range=list(marks))
    line = over(name).mark_line(clip=True, strokeWidth=0.7)
    ends = over(f"{name}-ends").mark_point(clip=True, filled=True, size=18)
    return alt.layer(
        line.encode(strokeDash=rows.dash, order="order:Q"),
        ends.encode(shape=alt.Shape("mark:N", scale=scale, legend=None)),
    ).add_params(zoom(name))


def _numbers(prepared: PathsFigure) -> Numbers:
    """Return the end of every path as a table."""
    head = ("row", "task", "x", "y", "x at the end", "y at the end", "state")
    rows = [
        (
            path.estimator,
            panel.task,
            *prepared.pairs[path.pair],
            f"{path.x[-1]:.6g}",
            f"{path.y[-1]:.6g}",
            "provisional" if path.provisional else "selected",
        )
        for panel in prepared.panels
        for path in panel.paths
    ]
    return Numbers.of(head, rows)


def _caption(prepared: PathsFigure) -> str:
    paths = [path for panel in prepared.panels for path in panel.paths]
    names = [f"{y} over {x}" for x, y in prepared.pairs]
    marks = [f"{END_MARKS[i % len(END_MARKS)]}: {name}" for i, name in enumerate(names)]
    return sentence(
        [
            f"{prepared.sweep}: a line for each seed{' and pair' if len(marks) > 1 else ''}, "
            "a mark where it ends" + (f" ({', '.join(marks)})" if len(marks) > 1 else ""),
            prepared.selection,
            "pale (?): provisional" if any(path.provisional for path in paths) else "",
            lost_curves(prepared.lacking, prepared.runs),
        ]
    )

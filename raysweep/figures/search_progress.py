"""Progress of a search: the best mean so far over the configurations that have ended."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures.drawing import (
    HOVER,
    LINE,
    Chart,
    Drawing,
    Numbers,
    PanelChart,
    Records,
    Rows,
    axis_label,
    opacity,
    placeholder,
    records,
    row_tip,
    scale_type,
    sentence,
    zoom,
)
from raysweep.figures.scale import Scale
from raysweep.figures.scope import Numbers as Values
from raysweep.figures.scope import Request, SweepView, without_positive
from raysweep.figures.thinning import evenly
from raysweep.results.configuration_stats import Candidate
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.text import counted

MAX_DOTS = 2000  # for each line; more would hide it
MAX_ALL = 20_000  # dots of a figure
FEW = 10  # configurations of a panel, all of which get a tick where there are no more


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRequest(Request):
    """Options of a figure of a search's progress.

    Args:
        log: Whether the y axes are logarithmic.
    """

    log: bool = False


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of the search of one estimator on one task.

    Configurations are numbered from 1, in the order in which they started.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        ended: Number of configurations that have ended, successfully or not.
        numbers: Numbers of the configurations whose planned seeds all succeeded, `N`, increasing;
            at most `MAX_DOTS` of them.
        means: Means of the metric over the seeds of these configurations, `N`.
        improved: Numbers of the configurations with a better mean than all before, `I`, increasing.
        best: Means of these configurations, `I`.
    """

    estimator: str
    index: int
    ended: int
    numbers: NDArray[np.int64]
    means: Values
    improved: NDArray[np.int64]
    best: Values


@dataclasses.dataclass(frozen=True)
class SearchPanel:
    """Progress of the searches on one task.

    Args:
        task: Label of the task.
        lines: Progress of each estimator, in the order of the sweep file.
        limits: Limits of the y axis if a few bad configurations would flatten the rest; None if
            all of it fits.
    """

    task: str
    lines: tuple[Progress, ...]
    limits: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class SearchFigure:
    """Panels of progress.

    Args:
        sweep: Name of the sweep.
        metric: Metric that selects.
        unit: Unit of the metric.
        mode: Direction of the metric, `min` or `max`.
        seeds: Number of seeds that a mean is over.
        panels: Panels, one for each task.
        log: Whether the y axes are logarithmic.
    """

    sweep: str
    metric: str
    unit: str
    mode: str
    seeds: int
    panels: tuple[SearchPanel, ...]
    log: bool


def prepare(results: SweepResults, request: SearchRequest) -> SearchFigure:
    """Return the progress of a sweep's searches.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    view = SweepView.of(results, request)
    lines: dict[str, list[Progress]] = {task: [] for task in view.tasks}
    for arm, configurations in view.candidates(about=("started_at",)):
        progress = _progress(arm.estimator_label, configurations, view)
        if progress.ended:
            lines[arm.task_label].append(progress)
    if not any(len(line.numbers) for of_task in lines.values() for line in of_task):
        raise SpecError(
            f"search needs a finished configuration, but no configuration of {results.sweep} has "
            f"finished on all its seeds; `raysweep status {results.sweep}` shows its progress",
            field="kind",
        )
    if request.log:
        _check_positive(lines, view.select)
    panels = tuple(
        SearchPanel(
            task, tuple(sorted(of_task, key=lambda line: line.index)), _limits(of_task, view.mode)
        )
        for task, of_task in lines.items()
    )
    return SearchFigure(
        results.sweep,
        view.select,
        results.spec.metrics[view.select]["unit"],
        view.mode,
        len(results.spec.seeds),
        panels,
        request.log,
    )


def _progress(estimator: str, configurations: Sequence[Candidate], view: SweepView) -> Progress:
    values = _means(configurations, view)
    known = np.flatnonzero(np.isfinite(values))
    means = values[known]
    so_far = np.minimum.accumulate(means) if view.mode == "min" else np.maximum.accumulate(means)
    improves = np.diff(so_far, prepend=np.nan) != 0
    shown = evenly(len(known), MAX_DOTS)
    return Progress(
        estimator,
        view.estimator_index(estimator),
        len(values),
        known[shown] + 1,
        means[shown],
        known[improves] + 1,
        means[improves],
    )


def _means(configurations: Sequence[Candidate], view: SweepView) -> Values:
    """Return the means over seeds of the configurations that have ended, by their start.

    Returns:
        Means; NaN unless all planned seeds succeeded and have the metric.
    """
    if not configurations:
        return np.empty(0)
    stats = configurations[0].stats
    indices = np.array([candidate.index for candidate in configurations])
    indices = indices[stats.complete[indices] | stats.bad[indices]]
    ids = [stats.runs.ids[index] for index in indices.tolist()]
    indices = indices[np.lexsort((ids, stats.starts[indices]))]
    of_all = stats.means(view.select)
    good = stats.complete[indices] & (of_all.count[indices] == stats.rows[indices])
    means = np.where(good, of_all.mean[indices], np.nan)
    # Sums in another order differ in the last bits, so possible bests are summed exactly.
    losses, error = means if view.mode == "min" else -means, of_all.error[indices]
    near = losses - error <= np.fmin.accumulate(losses + error)
    for position in np.flatnonzero(near).tolist():
        means[position] = mean_of(stats.values(int(indices[position]), view.select))
    return means


def _limits(lines: Sequence[Progress], mode: str) -> tuple[float, float] | None:
    """Return the limits of a y axis that ends where the scale of the means ends.

    Returns:
        The low and high limit, or None if the scale holds all means.
    """
    scale = Scale.of(np.concatenate([line.means for line in lines] or [np.empty(0)]), mode)
    if scale is None or not scale.cut:
        return None
    low, high = sorted((scale.best, scale.worst))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _check_positive(lines: dict[str, list[Progress]], metric: str) -> None:
    for task, of_task in lines.items():
        if of_task and not any((line.means > 0).any() for line in of_task):
            raise without_positive(metric, task)


def search_drawing(prepared: SearchFigure) -> Drawing:
    """Return the drawing of searches: a panel for each task, a step line and dots for each row."""
    lines = [line for panel in prepared.panels for line in panel.lines]
    rows = Rows({line.index: line.estimator for line in lines})
    most = MAX_ALL // max(1, len(lines))
    panels = tuple(_panel(prepared, index, rows, most) for index in range(len(prepared.panels)))
    is_thinned = any(len(line.numbers) > most for line in lines)
    caption = _caption(prepared, is_thinned=is_thinned)
    return Drawing(panels, caption, _numbers(prepared), rows=rows.entries)


def _panel(prepared: SearchFigure, index: int, rows: Rows, most: int) -> PanelChart:
    panel, name = prepared.panels[index], f"search-{index}"
    if not any(len(line.numbers) for line in panel.lines):
        text = "no value yet" if panel.lines else "no configuration yet"
        return PanelChart(panel.task, placeholder(text), {})
    data = {
        name: [record for line in panel.lines for record in _steps(line)],
        f"{name}-dots": [record for line in panel.lines for record in _dots(line, most)],
    }
    if prepared.log:
        data = {key: [row for row in values if row["y"] > 0] for key, values in data.items()}
    title = axis_label(prepared.metric, prepared.unit)
    y_scale = alt.Scale(type=scale_type(log=prepared.log), zero=False, nice=False, padding=6)
    if panel.limits and not prepared.log:
        y_scale = alt.Scale(domain=list(panel.limits), nice=False)
    last = max(line.ended for line in panel.lines)
    ticks: dict[str, Any] = {"format": ",d" if last < 1e4 else "~s", "tickCount": 5}
    if last <= FEW:  # Vega would put ticks at halves, too
        ticks = {"values": list(range(1, last + 1)), "format": "d"}

    def draw(x_title: bool, y_title: bool) -> Chart:
        bottom = alt.Axis(title="configurations ended" if x_title else None, **ticks)
        x = alt.X("x:Q", axis=bottom, scale=alt.Scale(nice=False, zero=False, padding=4))
        left = alt.Axis(title=title if y_title else None, tickCount=4)
        y = alt.Y("y:Q", axis=left, scale=y_scale)
        return _chart(name, rows, x, y)

    return PanelChart(panel.task, draw, data)


def _steps(line: Progress) -> Records:
    """Return the corners of a line, which reaches to the last configuration."""
    return records(
        x=[*line.improved, *[line.ended] * bool(len(line.best))],
        y=[*line.best, *line.best[-1:]],
        row=line.estimator,
        opacity=1,
    )


def _dots(line: Progress, most: int) -> Records:
    shown = evenly(len(line.numbers), most)
    return records(x=line.numbers[shown], y=line.means[shown], row=line.estimator, opacity=0.5)


def _chart(name: str, rows: Rows, x: alt.X, y: alt.Y) -> Chart:
    def over(data: str, x_title: str, y_title: str) -> alt.Chart:
        tips = [
            row_tip(),
            alt.Tooltip("x:Q", title=x_title, format=",d"),
            alt.Tooltip("y:Q", title=y_title, format=".6g"),
        ]
        chart = alt.Chart(alt.NamedData(data))
        return chart.encode(x=x, y=y, color=rows.color, opacity=opacity(), tooltip=tips)

    dots = over(f"{name}-dots", "configuration", "mean").mark_point(clip=True, filled=True, size=10)
    steps = over(name, "configuration", "best so far")
    line = steps.mark_line(**LINE, interpolate="step-after")
    corners = steps.mark_point(**HOVER)
    return alt.layer(dots, line.encode(strokeDash=rows.dash), corners).add_params(zoom(name))


def _numbers(prepared: SearchFigure) -> Numbers:
    head = ("row", "task", "best mean", "at configuration", "configurations ended")
    rows = [
        (
            line.estimator,
            panel.task,
            f"{line.best[-1]:.6g}" if len(line.best) else "",
            f"{line.improved[-1]:,}" if len(line.best) else "",
            f"{line.ended:,}",
        )
        for panel in prepared.panels
        for line in panel.lines
    ]
    return Numbers.of(head, rows)


def _caption(prepared: SearchFigure, *, is_thinned: bool) -> str:
    best = "lowest" if prepared.mode == "min" else "highest"
    cut = not prepared.log and any(panel.limits for panel in prepared.panels)
    return sentence(
        [
            f"{prepared.sweep}: {best} mean {prepared.metric} so far over "
            f"{counted(prepared.seeds, 'seed')}, in the order in which configurations began",
            "dots: those whose seeds all ended well",
            "y axes end at three times as far from the best as the median is" if cut else "",
            f"at most {MAX_ALL:,} dots in all" if is_thinned else "",
        ]
    )

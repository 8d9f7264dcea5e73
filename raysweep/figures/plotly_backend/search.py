"""Progress of the search in the report: the best mean so far."""

from typing import Any

from raysweep.errors import SpecError
from raysweep.figures import search_progress, style
from raysweep.figures.heatmaps import NO_SEARCH
from raysweep.figures.plotly_backend.common import (
    HEIGHT,
    POINTS,
    axis,
    empty,
    label,
    limited,
    numbers,
    reason,
    thinned,
)
from raysweep.figures.plotly_backend.parts import Figure, Plot
from raysweep.figures.search_progress import Progress, SearchFigure, SearchPanel, SearchRequest
from raysweep.results.snapshot import Snapshot
from raysweep.text import counted


def search_figure(results: Snapshot, select: str) -> Figure:
    """Return the best mean so far of the metric that selects, a drawing for each task."""
    name, title = "search", "Best so far of the search"
    if all(arm.size == 1 for arm in results.spec.arms):
        return Figure(name, title, missing=NO_SEARCH)
    try:
        prepared = search_progress.prepare(results, SearchRequest(select=select))
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    lines = [line for panel in prepared.panels for line in panel.lines]
    plots = tuple(
        Plot(f"{name}-{index}", panel.task, HEIGHT, {"": _panel(prepared, panel, len(lines))})
        for index, panel in enumerate(prepared.panels)
    )
    counts = [len(line.numbers) for line in lines]
    thin = any(count > len(thinned(count, len(lines))) for count in counts)
    best = "lowest" if prepared.mode == "min" else "highest"
    caption = style.sentence(
        [
            f"{prepared.sweep}: {best} mean {style.axis_label(prepared.metric, prepared.unit)} "
            f"so far over {counted(prepared.seeds, 'seed')}, "
            "in the order in which configurations began",
            "dots: those whose seeds all ended well",
            "y axes end at three times as far from the best as the median is"
            if any(panel.limits for panel in prepared.panels)
            else "",
            f"at most {POINTS:,} dots in all" if thin else "",
        ]
    )
    legend = tuple(sorted({(line.index, line.estimator) for line in lines}))
    return Figure(name, title, caption, plots, legend=legend, log=True)


def _panel(prepared: SearchFigure, panel: SearchPanel, lines: int) -> dict[str, Any]:
    if not panel.lines:
        return empty("nothing has ended")
    y = axis(style.axis_label(prepared.metric, prepared.unit), **limited(panel.limits))
    data = [trace for line in panel.lines for trace in _traces(line, lines)]
    return {"data": data, "layout": {"xaxis": axis("configurations ended"), "yaxis": y}}


def _traces(line: Progress, lines: int) -> list[dict[str, Any]]:
    dots = thinned(len(line.numbers), lines)
    meta = {"index": line.index}
    tail = f"configuration %{{x}}<br>%{{y:.6g}}<extra>{label(line.estimator)}</extra>"
    scattered = {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(line.numbers[dots]),
        "y": numbers(line.means[dots]),
        "marker": {"size": 6, "opacity": 0.5},
        "hovertemplate": tail,
        "meta": meta,
    }
    if not len(line.best):
        return [scattered]
    steps = {
        "type": "scatter",
        "mode": "lines",
        "x": [*numbers(line.improved), line.ended],
        "y": [*numbers(line.best), *numbers(line.best[-1:])],
        "line": {"width": 2, "shape": "hv"},
        "name": label(line.estimator),
        "hovertemplate": f"best so far: {tail}",
        "meta": meta,
    }
    return [scattered, steps]

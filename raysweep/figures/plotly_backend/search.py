"""The report's progress of the search: the best mean so far."""

from typing import Any

from raysweep.errors import SpecError
from raysweep.figures import search_progress, style
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


def search_figure(results: Snapshot, select: str) -> Figure:
    """The best mean so far of the metric that selects, a drawing for each task."""
    name, title = "search", "Best so far of the search"
    if all(arm.size == 1 for arm in results.spec.arms):
        return Figure(name, title, missing=_NOTHING)
    try:
        what = search_progress.prepare(results, SearchRequest(select=select))
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    lines = [line for panel in what.panels for line in panel.lines]
    plots = tuple(
        Plot(f"{name}-{place}", panel.task, HEIGHT, {"": _panel(what, panel, len(lines))})
        for place, panel in enumerate(what.panels)
    )
    thin = any(len(line.at) > len(thinned(len(line.at), len(lines))) for line in lines)
    best = "lowest" if what.mode == "min" else "highest"
    caption = style.sentence(
        [
            f"{what.sweep}: {best} mean {style.axis_label(what.metric, what.unit)} so far over "
            f"{what.seeds} seed{'' if what.seeds == 1 else 's'}, in the order in which "
            "configurations began",
            "dots: those whose seeds all ended well",
            "y axes end at three times as far from the best as the median is"
            if any(panel.limits for panel in what.panels)
            else "",
            f"at most {POINTS:,} dots in all" if thin else "",
        ]
    )
    legend = tuple(sorted({(line.place, line.estimator) for line in lines}))
    return Figure(name, title, caption, plots, legend=legend, log=True)


_NOTHING = (
    "expected a sweep that searches a setting, got one without; give a setting a list of values"
)


def _panel(what: SearchFigure, panel: SearchPanel, lines: int) -> dict[str, Any]:
    if not panel.lines:
        return empty("nothing has ended")
    y = axis(style.axis_label(what.metric, what.unit), **limited(panel.limits))
    data = [trace for line in panel.lines for trace in _traces(line, lines)]
    return {"data": data, "layout": {"xaxis": axis("configurations ended"), "yaxis": y}}


def _traces(line: Progress, lines: int) -> list[dict[str, Any]]:
    dots = thinned(len(line.at), lines)
    meta = {"place": line.place}
    tail = f"configuration %{{x}}<br>%{{y:.6g}}<extra>{label(line.estimator)}</extra>"
    scattered = {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(line.at[dots]),
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

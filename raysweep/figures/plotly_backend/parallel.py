"""The report's parallel coordinates: every configuration as a line through its settings."""

from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import parallel
from raysweep.figures.axes import Axis
from raysweep.figures.parallel import ParallelFigure, ParallelPanel, ParallelRequest
from raysweep.figures.plotly_backend.common import label, numbers, reason
from raysweep.figures.plotly_backend.parts import Figure, Plot, choices
from raysweep.figures.scope import Numbers
from raysweep.figures.style import axis_label, sentence
from raysweep.results.snapshot import Snapshot

MOST_LINES = 20_000  # of all arms together
FEWEST_LINES = 50  # of an arm
AXIS = 105  # pixels from one to the next, at least
NOWHERE = -0.15  # on an axis: where a setting does not apply


def parallel_figure(results: Snapshot, select: str) -> Figure:
    """Configurations through their settings to the metric that selects, one arm at a time."""
    name, title = "parallel", "Through all settings"
    try:
        what = parallel.prepare(results, ParallelRequest(select=select))
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    widest = AXIS * max(len(panel.axes) for panel in what.panels)
    most = max(FEWEST_LINES, MOST_LINES // len(what.panels))
    views = {str(place): _panel(panel, most) for place, panel in enumerate(what.panels)}
    arms = [
        f"{panel.estimator} on {panel.task}{' ?' if panel.provisional else ''}"
        for panel in what.panels
    ]
    return Figure(
        name,
        title,
        _caption(what, most),
        (Plot("parallel-0", "", 380, views, widest),),
        (choices("parallel-arm", "Arm", arms),),
        webgl=True,
    )


def _caption(what: ParallelFigure, most: int) -> str:
    shown = max(min(most, len(panel.scores)) for panel in what.panels)
    found = max(panel.found for panel in what.panels)
    return sentence(
        [
            f"{what.sweep}: a line for each configuration that ended well, its mean "
            f"{axis_label(what.metric, what.unit)} over seeds last",
            f"the best {shown:,} of up to {found:,}" if found > shown else "",
            "lighter and higher is better, on a scale for each task",
            "drag along an axis to keep the lines that pass there",
            "–: does not apply" if any(np.isnan(each.places).any() for each in what.panels) else "",
            "?: provisional, seeds are missing"
            if any(each.provisional for each in what.panels)
            else "",
        ]
    )


def _panel(panel: ParallelPanel, most: int) -> dict[str, Any]:
    shown = np.arange(len(panel.scores))[-most:]  # the best are last
    if panel.selected is not None and panel.selected not in shown:
        shown[0] = panel.selected
    dimensions = [
        _dimension(axis, panel.places[shown, place]) for place, axis in enumerate(panel.axes)
    ]
    line = {"color": numbers(panel.scores[shown]), "cmin": 0, "cmax": 1}
    trace = {"type": "parcoords", "line": line, "dimensions": dimensions}
    return {"data": [trace], "layout": {"margin": {"l": 70, "r": 70, "t": 80, "b": 30}}}


def _dimension(axis: Axis, places: Numbers) -> dict[str, Any]:
    missing = bool(np.isnan(places).any())
    ticks = [*axis.ticks, (NOWHERE, "–")] if missing else list(axis.ticks)
    return {
        "label": label(axis.name),
        "values": numbers(np.where(np.isnan(places), NOWHERE, places)),
        "range": [NOWHERE if missing else 0, 1],
        "tickvals": numbers([place for place, _ in ticks]),
        "ticktext": [text for _, text in ticks],  # plain text, unlike labels
    }

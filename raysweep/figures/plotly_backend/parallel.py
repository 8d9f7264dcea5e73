"""Parallel coordinates in the report: every configuration as a line through its settings."""

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
FEWEST_LINES = 50  # of an arm, even if all arms together then have more
AXIS = 105  # least distance between two axes, in pixels
ABSENT = -0.15  # position on an axis of lines whose configuration lacks the setting


def parallel_figure(results: Snapshot, select: str) -> Figure:
    """Return configurations as lines to the metric that selects, one arm at a time."""
    name, title = "parallel", "Through all settings"
    try:
        prepared = parallel.prepare(results, ParallelRequest(select=select))
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    widest = AXIS * max(len(panel.axes) for panel in prepared.panels)
    most = max(FEWEST_LINES, MOST_LINES // len(prepared.panels))
    views = {str(index): _panel(panel, most) for index, panel in enumerate(prepared.panels)}
    arms = [
        f"{panel.estimator} on {panel.task}{' ?' if panel.provisional else ''}"
        for panel in prepared.panels
    ]
    return Figure(
        name,
        title,
        _caption(prepared, most),
        (Plot("parallel-0", "", 380, views, widest),),
        (choices("parallel-arm", "Arm", arms),),
        webgl=True,
    )


def _caption(prepared: ParallelFigure, most: int) -> str:
    shown = max(min(most, len(panel.scores)) for panel in prepared.panels)
    total = max(panel.configurations for panel in prepared.panels)
    absent = any(np.isnan(panel.positions).any() for panel in prepared.panels)
    return sentence(
        [
            f"{prepared.sweep}: a line for each configuration that ended well, its mean "
            f"{axis_label(prepared.metric, prepared.unit)} over seeds last",
            f"the best {shown:,} of up to {total:,}" if total > shown else "",
            "lighter and higher is better, on a scale for each task",
            "drag along an axis to keep the lines that pass there",
            "–: does not apply" if absent else "",
            "?: provisional, seeds are missing"
            if any(panel.provisional for panel in prepared.panels)
            else "",
        ]
    )


def _panel(panel: ParallelPanel, most: int) -> dict[str, Any]:
    shown = np.arange(len(panel.scores))[-most:]  # the best are last
    if panel.selected is not None and panel.selected not in shown:
        shown[0] = panel.selected
    dimensions = [
        _dimension(axis, panel.positions[shown, index]) for index, axis in enumerate(panel.axes)
    ]
    line = {"color": numbers(panel.scores[shown]), "cmin": 0, "cmax": 1}
    trace = {"type": "parcoords", "line": line, "dimensions": dimensions}
    return {"data": [trace], "layout": {"margin": {"l": 70, "r": 70, "t": 80, "b": 30}}}


def _dimension(axis: Axis, positions: Numbers) -> dict[str, Any]:
    missing = bool(np.isnan(positions).any())
    ticks = [*axis.ticks, (ABSENT, "–")] if missing else list(axis.ticks)
    return {
        "label": label(axis.name),
        "values": numbers(np.where(np.isnan(positions), ABSENT, positions)),
        "range": [ABSENT if missing else 0, 1],
        "tickvals": numbers([position for position, _ in ticks]),
        "ticktext": [text for _, text in ticks],  # Plotly reads no tags in it, unlike in labels
    }

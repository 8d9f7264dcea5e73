"""The report's heatmaps: over one searched setting, and over two."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from raysweep.errors import SpecError
from raysweep.figures import heatmaps, planes
from raysweep.figures.heatmaps import HeatmapFigure, HeatmapPanel, HeatmapRequest
from raysweep.figures.planes import Plane
from raysweep.figures.plotly_backend.common import axis, label, numbers, reason, short
from raysweep.figures.plotly_backend.parts import Figure, Plot, choices
from raysweep.figures.scope import Numbers
from raysweep.figures.style import axis_label, colour, sentence
from raysweep.results.snapshot import Snapshot

MOST_SETTINGS = 8  # with a heatmap of their own
MOST_PLANES = 300  # drawings over two settings
MOST_TEXTS = 12  # columns with numbers in their cells
ROW = 34  # pixels


def searched(results: Snapshot) -> list[str]:
    """The settings that any arm searches, in the file's order."""
    return list(dict.fromkeys(key for arm in results.spec.arms for key in arm.searched))


def heatmap_figure(results: Snapshot, select: str) -> Figure:
    """The metric that selects over each searched setting, a drawing for each estimator."""
    name, title = "heatmap", "Over one setting"
    settings = searched(results)
    found: list[HeatmapFigure] = []
    try:
        for setting in settings[:MOST_SETTINGS] or (None,):
            found.append(heatmaps.prepare(results, HeatmapRequest(select=select, over=setting)))
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    plots = []
    for place, estimator in enumerate(panel.estimator for panel in found[0].panels):
        views = {str(key): _panel(what, what.panels[place]) for key, what in enumerate(found)}
        height = 90 + ROW * len(found[0].tasks)
        plots.append(Plot(f"{name}-{place}", estimator, height, views))
    what = found[0]
    left = len(settings) - len(found)
    caption = sentence(
        [
            f"{what.sweep}: {axis_label(what.metric, what.unit)}, mean over seeds of the best "
            "configuration at each value",
            "lighter is better, on a scale for each task",
            "?: provisional, seeds are missing; blank: no configuration to show",
            f"{left} more settings are searched" if left > 0 else "",
        ]
    )
    control = choices("heatmap-setting", "Setting", [each.setting for each in found])
    return Figure(name, title, caption, tuple(plots), (control,))


def planes_figure(results: Snapshot, select: str) -> Figure:
    """The metric that selects over pairs of searched settings, one arm at a time."""
    name, title = "plane", "Over two settings"
    pairs = list(itertools.combinations(searched(results), 2))
    if not pairs:
        return Figure(name, title, missing=_FEW)
    most = max(1, MOST_PLANES // max(1, len(results.spec.arms)))
    try:
        found = [
            planes.prepare(results, HeatmapRequest(select=select, over=pair))
            for pair in pairs[:most]
        ]
    except SpecError as error:
        return Figure(name, title, missing=reason(error))
    arms = [f"{panel.estimator} on {panel.task}" for panel in found[0].panels]
    views = {
        f"{key} {place}": _plane(panel, what.settings)
        for key, what in enumerate(found)
        for place, panel in enumerate(what.panels)
    }
    what = found[0]
    caption = sentence(
        [
            f"{what.sweep}: {axis_label(what.metric, what.unit)}, mean over seeds of the best "
            "configuration at each pair of values",
            "lighter is better, on a scale for each task",
            "outlined: selected",
            "?: provisional, seeds are missing; blank: no configuration to show",
            f"{len(found)} of {len(pairs)} pairs of settings" if len(found) < len(pairs) else "",
        ]
    )
    controls = (
        choices("plane-settings", "Settings", [" × ".join(each.settings) for each in found]),
        choices("plane-arm", "Arm", arms),
    )
    return Figure(name, title, caption, (Plot("plane-0", "", 420, views),), controls)


_FEW = "expected a sweep that searches two settings, got fewer; give another a list of values"


def _panel(what: HeatmapFigure, panel: HeatmapPanel) -> dict[str, Any]:
    x = [column.label for column in panel.columns]
    cells = _cells((panel.means, panel.scores, panel.provisional), (what.setting, "task"))
    down = {**_along(what.tasks), "range": [len(what.tasks) - 0.5, -0.5]}
    layout = {"xaxis": axis(what.setting, **_along(x)), "yaxis": down}
    return {"data": [cells], "layout": layout}


def _plane(panel: Plane, settings: tuple[str, str]) -> dict[str, Any]:
    x, y = ([column.label for column in columns] for columns in (panel.x, panel.y))
    cells = _cells((panel.means, panel.scores, panel.provisional), settings)
    layout = {
        "xaxis": axis(settings[0], **_along(x)),
        "yaxis": axis(settings[1], **_along(y)),
        "shapes": [] if panel.selected is None else [_outline(*panel.selected)],
    }
    return {"data": [cells], "layout": layout}


def _outline(row: int, column: int) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": column - 0.5,
        "x1": column + 0.5,
        "y0": row - 0.5,
        "y1": row + 0.5,
        "line": {"width": 3, "color": colour(1)},
    }


def _along(labels: Sequence[str]) -> dict[str, Any]:
    """An axis with a label at each place: labels may be alike once they are cut."""
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [short(each) for each in labels],
        "range": [-0.5, len(labels) - 0.5],
        "showgrid": False,
        "zeroline": False,
    }


def _cells(
    values: tuple[Numbers, Numbers, Sequence[Sequence[bool]]],
    names: tuple[str, str],
) -> dict[str, Any]:
    """A heatmap's cells: shaded by score, hovering tells the mean."""
    means, scores, provisional = values
    return {
        "type": "heatmap",
        "z": [numbers(each) for each in scores],
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Viridis",
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "text": [
            [_text(mean, flag) for mean, flag in zip(row, flags, strict=True)]
            for row, flags in zip(means.tolist(), provisional, strict=True)
        ],
        "texttemplate": "%{text}" if means.shape[1] <= MOST_TEXTS else "",
        "customdata": [numbers(each) for each in means],
        "hoverongaps": False,
        "hovertemplate": f"{label(names[0])}: %{{x}}<br>{label(names[1])}: %{{y}}<br>"
        "%{customdata:.6g}<extra></extra>",
    }


def _text(mean: float, provisional: bool) -> str:
    if not math.isfinite(mean):
        return ""
    return f"{mean:.3g}" + (" ?" if provisional else "")

"""Heatmaps in the report: over one searched setting, and over two."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from raysweep.errors import SpecError
from raysweep.figures import heatmaps, two_setting_heatmaps
from raysweep.figures.heatmaps import HeatmapFigure, HeatmapPanel, HeatmapRequest, has_settings
from raysweep.figures.plotly_backend.common import axis, empty, label, numbers, reason, short
from raysweep.figures.plotly_backend.parts import Figure, Plot, choices
from raysweep.figures.scope import Numbers
from raysweep.figures.style import axis_label, colour, sentence
from raysweep.figures.two_setting_heatmaps import TwoSettingHeatmapFigure, TwoSettingHeatmapPanel
from raysweep.results.snapshot import Snapshot

MOST_SETTINGS = 8  # settings with a heatmap
MOST_TWO_SETTING_VIEWS = 300  # drawings over two settings
MOST_TEXTS = 12  # most columns of a heatmap with numbers in its cells
ROW = 34  # height of a row, in pixels

Prepared = TypeVar("Prepared", HeatmapFigure, TwoSettingHeatmapFigure)


def searched(results: Snapshot) -> list[str]:
    """Return the settings that any arm searches, in the order of the sweep file."""
    return list(dict.fromkeys(key for arm in results.spec.arms for key in arm.searched))


def heatmap_figure(results: Snapshot, select: str) -> Figure:
    """Return the metric that selects over each searched setting, a drawing for each estimator."""
    name, title = "heatmap", "Over one setting"
    settings = searched(results)
    figures, problems = _drawn(
        heatmaps.prepare, results, select, settings[:MOST_SETTINGS] or (None,)
    )
    if not figures:
        return Figure(name, title, missing=problems[0])
    panels = [{panel.estimator: panel for panel in prepared.panels} for prepared in figures]
    estimators = [
        label for label in results.spec.estimator_labels if any(label in known for known in panels)
    ]
    plots = []
    for index, estimator in enumerate(estimators):
        views = {
            str(key): _panel(prepared, known.get(estimator))
            for key, (prepared, known) in enumerate(zip(figures, panels, strict=True))
        }
        height = 90 + ROW * len(figures[0].tasks)
        plots.append(Plot(f"{name}-{index}", estimator, height, views))
    prepared = figures[0]
    left = len(settings) - len(figures)
    caption = sentence(
        [
            f"{prepared.sweep}: {axis_label(prepared.metric, prepared.unit)}, mean over seeds of "
            "the best configuration at each value",
            "lighter is better, on a scale for each task",
            "?: provisional, seeds are missing; blank: no configuration to show",
            f"{left} more settings are searched" if left > 0 else "",
        ]
    )
    control = choices("heatmap-setting", "Setting", [prepared.setting for prepared in figures])
    return Figure(name, title, caption, tuple(plots), (control,))


def two_setting_heatmap_figure(results: Snapshot, select: str) -> Figure:
    """Return the metric that selects over pairs of searched settings, one arm at a time."""
    name, title = "two-settings", "Over two settings"
    pairs = [
        pair
        for pair in itertools.combinations(searched(results), 2)
        if any(has_settings(arm, pair) for arm in results.spec.arms)
    ]
    if not pairs:
        return Figure(name, title, missing=_TOO_FEW_SETTINGS)
    most = max(1, MOST_TWO_SETTING_VIEWS // max(1, len(results.spec.arms)))
    figures, problems = _drawn(two_setting_heatmaps.prepare, results, select, pairs[:most])
    if not figures:
        return Figure(name, title, missing=problems[0])
    panels = [{(p.estimator, p.task): p for p in prepared.panels} for prepared in figures]
    arms = [
        labels
        for labels in ((arm.estimator_label, arm.task_label) for arm in results.spec.arms)
        if any(labels in known for known in panels)
    ]
    views = {
        f"{key} {index}": _two_setting_panel(known.get(labels), prepared.settings)
        for key, (prepared, known) in enumerate(zip(figures, panels, strict=True))
        for index, labels in enumerate(arms)
    }
    prepared = figures[0]
    caption = sentence(
        [
            f"{prepared.sweep}: {axis_label(prepared.metric, prepared.unit)}, mean over seeds of "
            "the best configuration at each pair of values",
            "lighter is better, on a scale for each task",
            "outlined: selected",
            "?: provisional, seeds are missing; blank: no configuration to show",
            f"{len(figures)} of {len(pairs)} pairs of settings"
            if len(figures) < len(pairs)
            else "",
        ]
    )
    controls = (
        choices(
            "two-settings-pair", "Settings", [" × ".join(prepared.settings) for prepared in figures]
        ),
        choices("two-settings-arm", "Arm", [" on ".join(labels) for labels in arms]),
    )
    return Figure(name, title, caption, (Plot("two-settings-0", "", 420, views),), controls)


_TOO_FEW_SETTINGS = (
    "needs two searched settings, and no row of this sweep has them; "
    "give another setting a list of values"
)


def _drawn(
    prepare: Callable[[Snapshot, HeatmapRequest], Prepared],
    results: Snapshot,
    select: str,
    choices_of_settings: Iterable[str | Sequence[str] | None],
) -> tuple[list[Prepared], list[str]]:
    """Return the heatmaps over these settings, and why others cannot be drawn.

    That is so, for example, if no arm with a setting has a run that finished well.
    """
    figures, problems = [], []
    for over in choices_of_settings:
        try:
            figures.append(prepare(results, HeatmapRequest(select=select, over=over)))
        except SpecError as error:
            problems.append(reason(error))
    return figures, problems


def _panel(prepared: HeatmapFigure, panel: HeatmapPanel | None) -> dict[str, Any]:
    if panel is None:
        return empty(f"without {prepared.setting}")
    x = [column.label for column in panel.columns]
    cells = _cells((panel.means, panel.scores, panel.provisional), (prepared.setting, "task"))
    down = {**_along(prepared.tasks), "range": [len(prepared.tasks) - 0.5, -0.5]}
    layout = {"xaxis": axis(prepared.setting, **_along(x)), "yaxis": down}
    return {"data": [cells], "layout": layout}


def _two_setting_panel(
    panel: TwoSettingHeatmapPanel | None, settings: tuple[str, str]
) -> dict[str, Any]:
    if panel is None:
        return empty(f"without {' and '.join(settings)}")
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
    """Return an axis with a label at each index, as labels may be the same once they are cut."""
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [short(text) for text in labels],
        "range": [-0.5, len(labels) - 0.5],
        "showgrid": False,
        "zeroline": False,
    }


def _cells(
    values: tuple[Numbers, Numbers, Sequence[Sequence[bool]]],
    names: tuple[str, str],
) -> dict[str, Any]:
    """Return the cells of a heatmap: shaded by score, with the mean shown on hovering."""
    means, scores, provisional = values
    return {
        "type": "heatmap",
        "z": [numbers(row) for row in scores],
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
        "customdata": [numbers(row) for row in means],
        "hoverongaps": False,
        "hovertemplate": f"{label(names[0])}: %{{x}}<br>{label(names[1])}: %{{y}}<br>"
        "%{customdata:.6g}<extra></extra>",
    }


def _text(mean: float, provisional: bool) -> str:
    if not math.isfinite(mean):
        return ""
    return f"{mean:.3g}" + (" ?" if provisional else "")

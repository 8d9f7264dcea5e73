"""Heatmaps of a metric over two settings, for each estimator and task."""

import dataclasses

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.figures.heatmaps import (
    HeatmapFigure,
    HeatmapRequest,
    PanelAbout,
    PlacedArm,
    figure_of,
    has_settings,
    panels_of,
    searched_setting,
    shown_metric,
)
from raysweep.results.bins import columns
from raysweep.results.cells import NONE, columns_of
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.setting_column import Indices
from raysweep.results.sweep_results import SweepResults


def prepare_heatmap(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure:
    """Return the heatmap of a sweep over one setting or two.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    if len(request.settings) == 1:
        return heatmaps.prepare(results, request)
    return prepare(results, request)


def prepare(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure:
    """Return the heatmap of a sweep over the two settings that the request names.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    settings = tuple(searched_setting(results.spec, name) for name in request.settings)
    if settings[0] == settings[1]:
        raise SpecError(
            f"expected two different settings, got {settings[0]} twice; leave one out", field="over"
        )
    view, metric = shown_metric(results, request, settings)
    stats = results.configurations(view.select, metric)
    arms = [arm for arm in view.arms if has_settings(arm, settings)]
    arms.sort(key=lambda arm: view.tasks.index(arm.task_label))
    axes = {}
    for arm in arms:  # panels of an estimator have the same axes
        label = arm.estimator_label
        if label not in axes:
            siblings = [other for other in arms if other.estimator_label == label]
            axes[label] = tuple(columns(siblings, setting) for setting in settings)
    panels: list[PanelAbout] = []
    placed, selected = [], []
    for index, arm in enumerate(arms):
        x, y = axes[arm.estimator_label]
        indices = stats.of(arm)
        across, up = (
            columns_of(arm, stats, indices, setting, shown)
            for setting, shown in zip(settings, (x, y), strict=True)
        )
        cells = np.where((across == NONE) | (up == NONE), NONE, up * len(x) + across)
        placed.append(PlacedArm(indices, index, cells))
        panels.append((arm.task_label, arm.estimator_label, x, y))
        selected.append(_selected(stats, (indices, cells), len(x), (view.select, view.mode)))
    shown = tuple(
        dataclasses.replace(panel, selected=cell)
        for panel, cell in zip(
            panels_of(stats, placed, panels, (view, metric)), selected, strict=True
        )
    )
    return figure_of(results, (view, metric), settings, shown)


def _selected(
    stats: ConfigurationStats,
    members: tuple[Indices, Indices],
    columns: int,
    by: tuple[str, str],
) -> tuple[int, int] | None:
    """Return the indices along y and x of the arm's selected configuration; None without one.

    Args:
        stats: Statistics of all configurations.
        members: Indices of the arm's configurations, and their cells.
        columns: Number of cells across.
        by: Metric that selects, and its direction.
    """
    indices, cells = members
    best = stats.best(indices, *by)
    if best is None:
        return None
    cell = int(cells[np.flatnonzero(indices == best[0])[0]])
    return None if cell == NONE else divmod(cell, columns)

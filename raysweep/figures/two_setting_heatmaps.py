"""Heatmaps of a metric over two settings, for each estimator and task."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.figures.heatmaps import HeatmapFigure, HeatmapRequest, has_settings, searched_setting
from raysweep.figures.scale import Scale
from raysweep.figures.scope import Numbers, SweepView, without_values
from raysweep.results.bins import Column, column_of, columns, value_at
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm


@dataclasses.dataclass(frozen=True)
class TwoSettingHeatmapPanel:
    """Heatmap of one estimator on one task.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        x: Values of the setting along x.
        y: Values of the setting along y.
        means: Mean of the best configuration with these values, y × x; NaN without one.
        scores: Scores of the means, from 0 (worst of the task) to 1 (best); NaN without one.
        provisional: Whether no configuration with these values has all its seeds yet, y × x.
        selected: Indices along y and x of the arm's selected configuration; None without one.
    """

    task: str
    estimator: str
    x: tuple[Column, ...]
    y: tuple[Column, ...]
    means: Numbers
    scores: Numbers
    provisional: tuple[tuple[bool, ...], ...]
    selected: tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class TwoSettingHeatmapFigure:
    """Panels of heatmaps over two settings.

    Args:
        sweep: Name of the sweep.
        settings: Settings along x and along y, `section.name` each.
        metric: Metric that is shown.
        unit: Unit of the metric.
        select: Metric that selects among the configurations of a cell.
        tasks: Labels of the tasks.
        panels: Panels, task by task, then estimator by estimator, of arms with both settings.
        lacking: Part of the caption on arms that lack a setting; empty if all have both.
    """

    sweep: str
    settings: tuple[str, str]
    metric: str
    unit: str
    select: str
    tasks: tuple[str, ...]
    panels: tuple[TwoSettingHeatmapPanel, ...]
    lacking: str


def prepare_heatmap(
    results: SweepResults, request: HeatmapRequest
) -> HeatmapFigure | TwoSettingHeatmapFigure:
    """Return the heatmap of a sweep over one setting or two.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    if len(request.settings) == 1:
        return heatmaps.prepare(results, request)
    return prepare(results, request)


def prepare(results: SweepResults, request: HeatmapRequest) -> TwoSettingHeatmapFigure:
    """Return the heatmap of a sweep over the two settings that the request names.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    x, y = (searched_setting(results.spec, name) for name in request.settings)
    if x == y:
        raise SpecError(
            f"expected two different settings, got {x} twice; leave one out", field="over"
        )
    request.check_single("a heatmap")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    heatmaps.check_shown(view, (x, y))
    arms = [pair for pair in view.candidates(metric) if has_settings(pair[0], (x, y))]
    about = results.spec.metrics[metric]
    panels: list[TwoSettingHeatmapPanel] = []
    for task in view.tasks:
        of_task = [
            _panel(view, (x, y), metric, (arm, configurations), _siblings(arm, arms))
            for arm, configurations in arms
            if arm.task_label == task
        ]
        panels.extend(_scored(of_task, about["direction"]))
    if all(np.isnan(panel.means).all() for panel in panels):
        raise without_values(results, metric)
    return TwoSettingHeatmapFigure(
        results.sweep,
        (x, y),
        metric,
        about["unit"],
        view.select,
        view.tasks,
        tuple(panels),
        heatmaps.lacking(view, (x, y)),
    )


def _siblings(arm: Arm, arms: Sequence[tuple[Arm, list[Candidate]]]) -> list[Arm]:
    """Return the arms of the same estimator, whose panels have the same axes."""
    return [other for other, _ in arms if other.estimator_label == arm.estimator_label]


def _panel(
    view: SweepView,
    settings: tuple[str, str],
    metric: str,
    arm_with_configurations: tuple[Arm, list[Candidate]],
    siblings: Sequence[Arm],
) -> TwoSettingHeatmapPanel:
    arm, configurations = arm_with_configurations
    x, y = (columns(siblings, setting) for setting in settings)
    means = np.full((len(y), len(x)), np.nan)
    provisional = np.zeros(means.shape, bool)
    cells: dict[str, tuple[int, int]] = {}
    groups: dict[tuple[int, int], list[Candidate]] = {}
    for candidate in configurations:
        column = column_of(value_at(arm, candidate, settings[0]), x)
        row = column_of(value_at(arm, candidate, settings[1]), y)
        if row is not None and column is not None:
            cells[candidate.configuration_id] = (row, column)
            groups.setdefault((row, column), []).append(candidate)
    for cell, group in groups.items():
        chosen = choose(group, view.select, view.mode)
        values = chosen[0].values(metric) if chosen else []
        if chosen and values:
            means[cell] = mean_of(values)
            provisional[cell] = chosen[1] == "provisional"
    best = choose(configurations, view.select, view.mode)
    flags = tuple(tuple(map(bool, row)) for row in provisional)
    selected = cells.get(best[0].configuration_id) if best else None
    return TwoSettingHeatmapPanel(
        arm.task_label, arm.estimator_label, x, y, means, means, flags, selected
    )


def _scored(
    panels: Sequence[TwoSettingHeatmapPanel], direction: str
) -> list[TwoSettingHeatmapPanel]:
    """Return the panels of one task with scores, on one scale."""
    scale = Scale.of(np.concatenate([panel.means.ravel() for panel in panels]), direction)
    if scale is None:
        return list(panels)
    return [dataclasses.replace(panel, scores=scale.scores(panel.means)) for panel in panels]

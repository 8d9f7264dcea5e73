"""Planes: how a metric depends on two settings together, for each estimator and task."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import heatmaps
from raysweep.figures.heatmaps import HeatmapFigure, HeatmapRequest, searched_setting
from raysweep.figures.scale import Scale
from raysweep.figures.scope import Numbers, SweepView, without_values
from raysweep.results.bins import Column, column_of, columns, value_at
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm


@dataclasses.dataclass(frozen=True)
class Plane:
    """One estimator on one task.

    Args:
        task: Label.
        estimator: Label.
        x: Values of the setting along x.
        y: Values of the setting along y.
        means: y × x: of the best configuration with these values; NaN without one.
        scores: Likewise, from 0 (worst of its task) to 1 (best); NaN without one.
        provisional: Likewise, whether no configuration there has all its seeds yet.
        selected: Places along y and x of the configuration selected among all; None without one.
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
class PlanesFigure:
    """Panels of planes.

    Args:
        sweep: Its name.
        settings: Along x and along y, `section.name` each.
        metric: The one shown.
        unit: Its unit.
        select: The metric that selects among the configurations of a cell.
        tasks: Labels.
        panels: Task by task, then estimator by estimator.
    """

    sweep: str
    settings: tuple[str, str]
    metric: str
    unit: str
    select: str
    tasks: tuple[str, ...]
    panels: tuple[Plane, ...]


def prepare_heatmap(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure | PlanesFigure:
    """The heatmap of a sweep over one setting or two.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    if len(request.settings) == 1:
        return heatmaps.prepare(results, request)
    return prepare(results, request)


def prepare(results: SweepResults, request: HeatmapRequest) -> PlanesFigure:
    """The planes of a sweep; the request names two settings.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    x, y = (searched_setting(results.spec, name) for name in request.settings)
    if x == y:
        raise SpecError(f"expected two settings, got {x} twice; leave one out", field="over")
    request.check_single("a heatmap")
    scope = SweepView.of(results, request)
    metric = results.metric((*request.metrics, scope.select)[0], "metric")
    arms = list(scope.candidates(metric))
    about = results.spec.metrics[metric]
    panels: list[Plane] = []
    for task in scope.tasks:
        found = [
            _plane(scope, (x, y), metric, (arm, own), _siblings(arm, arms))
            for arm, own in arms
            if arm.task_label == task
        ]
        panels.extend(_scored(found, about["direction"]))
    if all(np.isnan(panel.means).all() for panel in panels):
        raise without_values(results, metric)
    return PlanesFigure(
        results.sweep, (x, y), metric, about["unit"], scope.select, scope.tasks, tuple(panels)
    )


def _siblings(arm: Arm, arms: Sequence[tuple[Arm, list[Candidate]]]) -> list[Arm]:
    """The arms of the same estimator, whose panels have the same axes."""
    return [each for each, _ in arms if each.estimator_label == arm.estimator_label]


def _plane(
    scope: SweepView,
    settings: tuple[str, str],
    metric: str,
    own: tuple[Arm, list[Candidate]],
    siblings: Sequence[Arm],
) -> Plane:
    arm, found = own
    x, y = (columns(siblings, setting) for setting in settings)
    means = np.full((len(y), len(x)), np.nan)
    provisional = np.zeros(means.shape, bool)
    places: dict[str, tuple[int, int]] = {}
    groups: dict[tuple[int, int], list[Candidate]] = {}
    for candidate in found:
        column = column_of(value_at(arm, candidate, settings[0]), x)
        row = column_of(value_at(arm, candidate, settings[1]), y)
        if row is not None and column is not None:
            places[candidate.configuration_id] = (row, column)
            groups.setdefault((row, column), []).append(candidate)
    for place, members in groups.items():
        chosen = choose(members, scope.select, scope.mode)
        values = chosen[0].values(metric) if chosen else []
        if chosen and values:
            means[place] = mean_of(values)
            provisional[place] = chosen[1] == "provisional"
    best = choose(found, scope.select, scope.mode)
    flags = tuple(tuple(map(bool, row)) for row in provisional)
    selected = places.get(best[0].configuration_id) if best else None
    return Plane(arm.task_label, arm.estimator_label, x, y, means, means, flags, selected)


def _scored(panels: Sequence[Plane], direction: str) -> list[Plane]:
    """The panels of one task with scores, on one scale."""
    scale = Scale.of(np.concatenate([panel.means.ravel() for panel in panels]), direction)
    if scale is None:
        return list(panels)
    return [dataclasses.replace(panel, scores=scale.scores(panel.means)) for panel in panels]

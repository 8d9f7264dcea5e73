"""Parallel coordinates: every configuration as a line through its settings to its metric."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.axes import Axis, metric_axis, position_on, setting_axis
from raysweep.figures.heatmaps import NO_SEARCH
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm

MAX_LINES = 500  # of a panel; the best configurations are kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelRequest(MetricRequest):
    """Options of parallel coordinates: one metric, by default the one that selects."""


@dataclasses.dataclass(frozen=True)
class ParallelPanel:
    """Configurations of one estimator on one task.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        axes: Axes of the searched settings, in the order of the sweep file, then of the metric.
        positions: Position of each configuration on each axis, `N A`, the worst configuration
            first; NaN where a setting does not apply.
        scores: Scores of the configurations, `N`, from 0 (worst of the task) to 1 (best).
        configuration_ids: Ids of the configurations, `N`.
        selected: Index of the configuration that the table selects; None if it selects none.
        provisional: Whether no configuration has all its seeds yet, and those begun are shown.
        configurations: Number of configurations with a value of the metric; more than `N` if
            only the best are shown.
    """

    task: str
    estimator: str
    axes: tuple[Axis, ...]
    positions: Numbers
    scores: Numbers
    configuration_ids: tuple[str, ...]
    selected: int | None
    provisional: bool
    configurations: int


@dataclasses.dataclass(frozen=True)
class ParallelFigure:
    """Panels of parallel coordinates.

    Args:
        sweep: Name of the sweep.
        metric: Metric that is shown.
        unit: Unit of the metric.
        select: Metric that selects.
        tasks: Number of tasks shown.
        panels: Panels of the arms that search a setting, task by task, then estimator by estimator.
    """

    sweep: str
    metric: str
    unit: str
    select: str
    tasks: int
    panels: tuple[ParallelPanel, ...]


@dataclasses.dataclass(frozen=True)
class _ArmConfigurations:
    """Configurations of an arm that have a value of the metric, and their means, `N`."""

    arm: Arm
    configurations: Sequence[Candidate]
    means: Numbers
    provisional: bool
    selected: str | None


def prepare(results: SweepResults, request: ParallelRequest) -> ParallelFigure:
    """Return the configurations of a sweep as parallel coordinates.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    request.check_single("parallel coordinates")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    searching = [
        _with_values(view, metric, arm, configurations)
        for arm, configurations in view.candidates(metric)
        if arm.searched
    ]
    if not searching:
        raise SpecError(
            f"parallel coordinates need searched settings, but {NO_SEARCH}", field="kind"
        )
    if not any(len(group.means) for group in searching):
        raise without_values(results, metric)
    about = results.spec.metrics[metric]
    panels: list[ParallelPanel] = []
    for task in view.tasks:
        of_task = [group for group in searching if group.arm.task_label == task]
        means = np.concatenate([group.means for group in of_task] or [np.empty(0)])
        scale = Scale.of(means, about["direction"])
        panels.extend(_panel(group, metric, scale) for group in of_task)
    return ParallelFigure(
        results.sweep, metric, about["unit"], view.select, len(view.tasks), tuple(panels)
    )


def _with_values(
    view: SweepView, metric: str, arm: Arm, candidates: Sequence[Candidate]
) -> _ArmConfigurations:
    chosen = choose(candidates, view.select, view.mode)
    provisional = chosen is not None and chosen[1] == "provisional"
    configurations, means = [], []
    for candidate in candidates:
        values = candidate.values(metric)
        is_final = candidate.complete and len(values) == candidate.seeds
        may_be = provisional and not any(map(candidate.has, ("diverged", "failed", "stopped")))
        if values and (is_final or may_be):
            configurations.append(candidate)
            means.append(mean_of(values))
    selected = chosen[0].configuration_id if chosen else None
    return _ArmConfigurations(
        arm, configurations, np.array(means, np.float64), provisional, selected
    )


def _panel(group: _ArmConfigurations, metric: str, scale: Scale | None) -> ParallelPanel:
    arm, searched = group.arm, group.arm.searched
    scores = scale.scores(group.means) if scale else group.means
    distances = np.abs(group.means - scale.best) if scale else group.means
    order = np.argsort(-distances, kind="stable")
    shown = order[-MAX_LINES:].tolist()
    ids = [candidate.configuration_id for candidate in group.configurations]
    if group.selected in ids and ids.index(group.selected) not in shown:
        shown[0] = ids.index(group.selected)  # another metric than the one shown selects
    positions = np.full((len(shown), len(searched) + 1), np.nan)
    for row, index in zip(positions, shown, strict=True):
        assignment = group.configurations[index].assignment
        for column, (key, domain) in enumerate(searched.items()):
            if key in assignment:
                row[column] = position_on(domain, assignment[key])
        row[-1] = scores[index]
    kept = tuple(ids[index] for index in shown)
    axes = [setting_axis(_short(key, searched), domain) for key, domain in searched.items()]
    return ParallelPanel(
        arm.task_label,
        arm.estimator_label,
        (*axes, metric_axis(metric, scale)) if scale else (*axes, Axis(metric, ())),
        positions,
        scores[shown],
        kept,
        kept.index(group.selected) if group.selected in kept else None,
        group.provisional,
        len(ids),
    )


def _short(key: str, searched: Iterable[str]) -> str:
    """Return a setting's name without its section, unless two sections share the name."""
    name = key.partition(".")[2]
    return name if sum(other.partition(".")[2] == name for other in searched) == 1 else key

"""Parallel coordinates: every configuration as a line through its settings to its metric."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.axes import Axis, metric_axis, position_on, setting_axis
from raysweep.figures.heatmaps import NO_SEARCH
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.figures.searched import SearchedArm, short_name
from raysweep.figures.thinning import evenly
from raysweep.results.bins import ABSENT, value_text
from raysweep.results.setting_column import Indices
from raysweep.results.sweep_results import SweepResults

MAX_LINES = 500  # of a panel; the best configurations are kept
ALL_LINES = 10_000  # of all panels
MIN_LINES = 50  # of a panel, even if all panels together then have more


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelRequest(MetricRequest):
    """Options of parallel coordinates: one metric, by default the one that selects."""


@dataclasses.dataclass(frozen=True, eq=False)
class Lines:
    """Lines of a panel.

    Args:
        positions: Position of each configuration on each axis, `N A`; NaN where a setting does not
            apply or the metric is not known.
        scores: Scores of the configurations, `N`, from 0 (worst of the task) to 1 (best).
        means: Means of the metric, `N`.
        values: Text of each configuration's value of each setting, `N` times `A - 1`.
        configuration_ids: Ids of the configurations, `N`.
    """

    positions: Numbers
    scores: Numbers
    means: Numbers
    values: tuple[tuple[str, ...], ...]
    configuration_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ParallelPanel:
    """Configurations of one estimator on one task.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        axes: Axes of the searched settings, in the order of the sweep file, then of the metric.
        lines: Configurations that ended well, the worst first.
        selected: Index of the line that the table selects; None if it selects none.
        provisional: Whether no configuration has all its seeds yet, and those begun are shown.
        configurations: Number of configurations with a value of the metric; more than there are
            lines if only the best are shown.
        stopped: Configurations that early stopping ended.
        stopped_configurations: Number of these; more than there are lines if some are left out.
    """

    task: str
    estimator: str
    axes: tuple[Axis, ...]
    lines: Lines
    selected: int | None
    provisional: bool
    configurations: int
    stopped: Lines
    stopped_configurations: int


@dataclasses.dataclass(frozen=True, eq=False)
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


def prepare(results: SweepResults, request: ParallelRequest) -> ParallelFigure:
    """Return the configurations of a sweep as parallel coordinates.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    request.check_single("parallel coordinates")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    stats = results.configurations(view.select, metric)
    searching = [SearchedArm.of(view, stats, arm, metric) for arm in view.arms if arm.searched]
    if not searching:
        raise SpecError(
            f"parallel coordinates need searched settings, but {NO_SEARCH}", field="kind"
        )
    if not any(len(group.means) for group in searching):
        raise without_values(results, metric)
    about = results.spec.metrics[metric]
    most = min(MAX_LINES, max(MIN_LINES, ALL_LINES // len(searching)))
    panels: list[ParallelPanel] = []
    for task in view.tasks:
        of_task = [group for group in searching if group.arm.task_label == task]
        means = np.concatenate([group.means for group in of_task] or [np.empty(0)])
        scale = Scale.of(means, about["direction"])
        panels.extend(_panel(group, metric, scale, most) for group in of_task)
    return ParallelFigure(
        results.sweep, metric, about["unit"], view.select, len(view.tasks), tuple(panels)
    )


def _panel(group: SearchedArm, metric: str, scale: Scale | None, most: int) -> ParallelPanel:
    searched = group.arm.searched
    distances = np.abs(group.means - scale.best) if scale else group.means
    shown = np.argsort(-distances, kind="stable")[-most:]
    selected = np.flatnonzero(group.indices == group.selected)
    if len(selected) and selected[0] not in shown:
        shown[0] = selected[0]  # another metric than the one shown selects
    kept = group.indices[shown]
    stopped = evenly(len(group.stopped), most)
    names = list(searched)
    axes = [setting_axis(short_name(key, names), domain) for key, domain in searched.items()]
    last = Axis(metric, ())
    if scale is not None:
        is_worse = np.abs(group.reached[stopped] - scale.best) > abs(scale.worst - scale.best)
        last = metric_axis(
            metric, dataclasses.replace(scale, cut=scale.cut or bool(is_worse.any()))
        )
    return ParallelPanel(
        group.arm.task_label,
        group.arm.estimator_label,
        (*axes, last),
        _lines(group, kept, group.means[shown], scale),
        int(np.flatnonzero(kept == group.selected)[0]) if len(selected) else None,
        group.provisional,
        len(group.indices),
        _lines(group, group.stopped[stopped], group.reached[stopped], scale),
        len(group.stopped),
    )


def _lines(group: SearchedArm, indices: Indices, means: Numbers, scale: Scale | None) -> Lines:
    searched = group.arm.searched
    scores = scale.scores(means) if scale else np.full(len(means), np.nan)
    positions = np.full((len(indices), len(searched) + 1), np.nan)
    positions[:, -1] = scores
    values: list[Sequence[str]] = []
    ids = []
    candidates = group.stats.candidates(group.arm, indices)
    for row, candidate in zip(positions, candidates, strict=True):
        ids.append(candidate.configuration_id)
        given = candidate.assignment
        for column, (key, domain) in enumerate(searched.items()):
            if key in given:
                row[column] = position_on(domain, given[key])
        values.append([value_text(given[key]) if key in given else ABSENT for key in searched])
    return Lines(positions, scores, means, tuple(map(tuple, values)), tuple(ids))

"""Parallel coordinates: every configuration tried as a line through its settings to its metric."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.axes import Axis, metric_axis, place_on, setting_axis
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm

MAX_LINES = 500  # of a panel: the best


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelRequest(MetricRequest):
    """What parallel coordinates may be asked for: one metric; the one that selects if none."""


@dataclasses.dataclass(frozen=True)
class ParallelPanel:
    """One estimator on one task.

    Args:
        task: Label.
        estimator: Label.
        axes: Of the searched settings, in the file's order, then of the metric.
        places: `N A`, each configuration's on each axis, the worst first; NaN where the setting
            does not apply to it.
        scores: `N`, from 0 (worst of its task) to 1 (best).
        configuration_ids: `N`.
        selected: Which of the lines the table selects; None if none.
        provisional: Whether no configuration has all its seeds yet, and those begun are shown.
        found: Configurations that have a value of the metric; more than `N` if only the best
            are shown.
    """

    task: str
    estimator: str
    axes: tuple[Axis, ...]
    places: Numbers
    scores: Numbers
    configuration_ids: tuple[str, ...]
    selected: int | None
    provisional: bool
    found: int


@dataclasses.dataclass(frozen=True)
class ParallelFigure:
    """Panels of parallel coordinates.

    Args:
        sweep: Its name.
        metric: The one shown.
        unit: Its unit.
        select: The metric that selects.
        tasks: How many there are.
        panels: Task by task, then estimator by estimator; none where nothing is searched.
    """

    sweep: str
    metric: str
    unit: str
    select: str
    tasks: int
    panels: tuple[ParallelPanel, ...]


@dataclasses.dataclass(frozen=True)
class _Tried:
    """The configurations of an arm that have a value of the metric, and the values, `N`."""

    arm: Arm
    members: Sequence[Candidate]
    means: Numbers
    provisional: bool
    selected: str | None


def prepare(results: SweepResults, request: ParallelRequest) -> ParallelFigure:
    """The configurations of a sweep.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    request.check_single("parallel coordinates")
    scope = SweepView.of(results, request)
    metric = results.metric((*request.metrics, scope.select)[0], "metric")
    tried = [_tried(scope, metric, arm, own) for arm, own in scope.candidates(metric)]
    searching = [each for each in tried if each.arm.searched]
    if not searching:
        raise SpecError(
            "expected a sweep that searches a setting, got one without; "
            "give a setting a list of values",
            field="kind parallel",
        )
    if not any(len(each.means) for each in searching):
        raise without_values(results, metric)
    about = results.spec.metrics[metric]
    panels: list[ParallelPanel] = []
    for task in scope.tasks:
        own = [each for each in searching if each.arm.task_label == task]
        means = np.concatenate([each.means for each in own] or [np.empty(0)])
        scale = Scale.of(means, about["direction"])
        panels.extend(_panel(each, metric, scale) for each in own)
    return ParallelFigure(
        results.sweep, metric, about["unit"], scope.select, len(scope.tasks), tuple(panels)
    )


def _tried(scope: SweepView, metric: str, arm: Arm, found: Sequence[Candidate]) -> _Tried:
    chosen = choose(found, scope.select, scope.mode)
    provisional = chosen is not None and chosen[1] == "provisional"
    members, means = [], []
    for candidate in found:
        values = candidate.values(metric)
        is_final = candidate.complete and len(values) == candidate.seeds
        may_be = provisional and not any(map(candidate.has, ("diverged", "failed", "stopped")))
        if values and (is_final or may_be):
            members.append(candidate)
            means.append(mean_of(values))
    selected = chosen[0].configuration_id if chosen else None
    return _Tried(arm, members, np.array(means, np.float64), provisional, selected)


def _panel(tried: _Tried, metric: str, scale: Scale | None) -> ParallelPanel:
    arm, searched = tried.arm, tried.arm.searched
    scores = scale.scores(tried.means) if scale else tried.means
    distances = np.abs(tried.means - scale.best) if scale else tried.means
    order = np.argsort(-distances, kind="stable")
    shown = order[-MAX_LINES:].tolist()
    ids = [each.configuration_id for each in tried.members]
    if tried.selected in ids and ids.index(tried.selected) not in shown:
        shown[0] = ids.index(tried.selected)  # the best by another metric than the one shown
    places = np.full((len(shown), len(searched) + 1), np.nan)
    for row, place in zip(places, shown, strict=True):
        assignment = tried.members[place].assignment
        for column, (key, domain) in enumerate(searched.items()):
            if key in assignment:
                row[column] = place_on(domain, assignment[key])
        row[-1] = scores[place]
    kept = tuple(ids[place] for place in shown)
    axes = [setting_axis(_short(key, searched), domain) for key, domain in searched.items()]
    return ParallelPanel(
        arm.task_label,
        arm.estimator_label,
        (*axes, metric_axis(metric, scale)) if scale else (*axes, Axis(metric, ())),
        places,
        scores[shown],
        kept,
        kept.index(tried.selected) if tried.selected in kept else None,
        tried.provisional,
        len(ids),
    )


def _short(key: str, searched: Iterable[str]) -> str:
    """A setting's name alone, unless two sections have it."""
    name = key.partition(".")[2]
    return name if sum(each.partition(".")[2] == name for each in searched) == 1 else key

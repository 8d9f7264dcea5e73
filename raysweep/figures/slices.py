"""Slices of a search: a metric over each searched setting, with a point for each configuration."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.heatmaps import NO_SEARCH, check_shown, searched_setting
from raysweep.figures.scale import LIMIT
from raysweep.figures.scope import (
    MetricRequest,
    Numbers,
    SweepView,
    without_positive,
    without_values,
)
from raysweep.figures.searched import SearchedArm, short_name
from raysweep.figures.thinning import evenly
from raysweep.results.bins import is_number, value_text
from raysweep.results.setting_column import Indices
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Choice, Range
from raysweep.sweep.spec import Arm

MAX_SETTINGS = 12  # panels of a task
ALL_POINTS = 20_000  # of a figure
MAX_POINTS = 1000  # of a row in a panel
MIN_POINTS = 20  # of a row in a panel, even if the figure then has more
JITTER = 0.36  # width of the points over a choice, in distances between two choices

State = str  # `selected`, `ended well`, `provisional` or `stopped early`


@dataclasses.dataclass(frozen=True, kw_only=True)
class SliceRequest(MetricRequest):
    """Options of slices.

    Args:
        over: Settings to show, as `section.name` or by name alone; all searched ones if empty.
        log: Whether the y axes are logarithmic.
    """

    over: str | Sequence[str] = ()
    log: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class SlicePoints:
    """Configurations of one estimator in a panel.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        x: Positions along x, `N`.
        values: Texts of the setting's values, `N`.
        means: Means of the metric over seeds, `N`; of stopped configurations where they stopped.
        states: State of each configuration, `N`.
    """

    estimator: str
    index: int
    x: Numbers
    values: tuple[str, ...]
    means: Numbers
    states: tuple[State, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class SlicePanel:
    """Slice of the searches on one task along one setting.

    Args:
        task: Label of the task.
        setting: Name of the setting, with its section only if two settings share the name.
        points: Configurations of each estimator that searches the setting.
        choices: Texts of the values at 0, 1, … along x; empty if x has the values themselves.
        log: Whether the x axis is logarithmic.
        ends: Ends of the x axis if it has the values themselves.
        limits: Limits of the y axis, the same for all panels of the task; None for a single value.
        unplaced: Number of configurations whose value is no number where others are.
    """

    task: str
    setting: str
    points: tuple[SlicePoints, ...]
    choices: tuple[str, ...]
    log: bool
    ends: tuple[float, float]
    limits: tuple[float, float] | None
    unplaced: int


@dataclasses.dataclass(frozen=True, eq=False)
class SliceFigure:
    """Panels of slices.

    Args:
        sweep: Name of the sweep.
        metric: Metric that is shown.
        unit: Unit of the metric.
        select: Metric that selects.
        tasks: Number of tasks shown.
        panels: Panels, task by task, then setting by setting.
        settings: Number of searched settings; more than a task has panels if some are left out.
        log: Whether the y axes are logarithmic.
        outside: Number of configurations outside the y axes, which end where a few bad ones would
            flatten the rest.
        configurations: Number of configurations, and of those that are drawn.
        unplaced: Number of points that are left out, as the value is no number but others are.
        unknown: Number of stopped configurations of which no value is known.
    """

    sweep: str
    metric: str
    unit: str
    select: str
    tasks: int
    panels: tuple[SlicePanel, ...]
    settings: int
    log: bool
    outside: int
    configurations: tuple[int, int]
    unplaced: int
    unknown: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Drawn:
    """Configurations of an arm that are drawn in every panel of its task, with their settings."""

    arm: Arm
    index: int
    means: Numbers
    states: tuple[State, ...]
    given: tuple[Any, ...]
    jitter: Numbers


def prepare(results: SweepResults, request: SliceRequest) -> SliceFigure:
    """Return the slices of a sweep's searches.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    request.check_single("slices")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    settings, searched = _settings(view, request)
    stats = results.configurations(view.select, metric)
    arms = [arm for arm in view.arms if any(key in arm.searched for key in settings)]
    groups = [SearchedArm.of(view, stats, arm, metric) for arm in arms]
    if not any(len(group.means) for group in groups):
        raise without_values(results, metric)
    most = min(MAX_POINTS, max(MIN_POINTS, ALL_POINTS // (len(groups) * len(settings))))
    drawn = [_drawn(view, group, most) for group in groups]
    if request.log:
        _check_positive(drawn, metric)
    about = results.spec.metrics[metric]
    panels, outside = [], 0
    for task in view.tasks:
        of_task = [arm for arm in drawn if arm.arm.task_label == task]
        finals = [group.means for group in groups if group.arm.task_label == task]
        means = np.concatenate([np.empty(0), *(arm.means for arm in of_task)])
        if request.log:
            limits = _log_limits(means)
        else:
            limits = _limits(np.concatenate([np.empty(0), *finals]), means, about["direction"])
        if limits and not request.log:
            outside += int(((means < limits[0]) | (means > limits[1])).sum())
        for key in settings:
            name = short_name(key, settings)
            panels.append(_panel((task, key, name), arms, of_task, limits))
    counts = (
        sum(len(group.indices) + int(np.isfinite(group.reached).sum()) for group in groups),
        sum(len(arm.means) for arm in drawn),
    )
    return SliceFigure(
        results.sweep,
        metric,
        about["unit"],
        view.select,
        len(view.tasks),
        tuple(panels),
        searched,
        request.log,
        outside,
        counts,
        sum(panel.unplaced for panel in panels),
        sum(int(np.isnan(group.reached).sum()) for group in groups),
    )


def _settings(view: SweepView, request: SliceRequest) -> tuple[list[str], int]:
    """Return the settings to show, and the number of those that might be shown.

    Raises:
        SpecError: If there is none, or a requested one is not searched.
    """
    names = [request.over] if isinstance(request.over, str) else list(request.over)
    chosen = list(dict.fromkeys(searched_setting(view.results.spec, name) for name in names))
    for key in chosen:
        check_shown(view, [key])
    known = chosen or list(dict.fromkeys(key for arm in view.arms for key in arm.searched))
    if not known:
        raise SpecError(f"slices need searched settings, but {NO_SEARCH}", field="kind")
    return known[:MAX_SETTINGS], len(known)


def _drawn(view: SweepView, group: SearchedArm, most: int) -> _Drawn:
    """Return at most so many of an arm's configurations, evenly chosen, and the selected one."""
    known = np.isfinite(group.reached)
    stopped, reached = group.stopped[known], group.reached[known]
    final, early = evenly(len(group.indices), most), evenly(len(stopped), most)
    selected = np.flatnonzero(group.indices == group.selected)
    final = np.union1d(final, selected).astype(np.int64)
    shown: Indices = np.concatenate([stopped[early], group.indices[final]])
    state = "provisional" if group.provisional else "ended well"
    states = ["stopped early"] * len(early) + [state] * len(final)
    if len(selected) and not group.provisional:
        states[len(early) + int(np.flatnonzero(final == selected[0])[0])] = "selected"
    candidates = group.stats.candidates(group.arm, shown)
    # A number of each configuration that is the same in every figure.
    jitter = [int(candidate.configuration_id[:8], 16) / 2**32 for candidate in candidates]
    return _Drawn(
        group.arm,
        view.estimator_index(group.arm.estimator_label),
        np.concatenate([reached[early], group.means[final]]),
        tuple(states),
        tuple(candidate.assignment for candidate in candidates),
        JITTER * (np.array(jitter, np.float64) - 0.5),
    )


def _panel(
    about: tuple[str, str, str],
    arms: Sequence[Arm],
    drawn: Sequence[_Drawn],
    limits: tuple[float, float] | None,
) -> SlicePanel:
    task, key, name = about
    domains = [arm.searched[key] for arm in arms if key in arm.searched]
    choices = _choices(domains)
    positions = {_identity(value): index for index, value in enumerate(choices or ())}
    points, unplaced = [], 0
    for arm in drawn:
        having = [row for row, given in enumerate(arm.given) if key in given]
        rows = [row for row in having if choices is not None or is_number(arm.given[row][key])]
        unplaced += len(having) - len(rows)
        values = [arm.given[row][key] for row in rows]
        if choices is None:
            x = np.array(values, np.float64)
        else:
            x = np.array([positions[_identity(value)] for value in values], np.float64)
            x = x + arm.jitter[rows]
        if rows:
            states = tuple(arm.states[row] for row in rows)
            texts = tuple(map(value_text, values))
            label = arm.arm.estimator_label
            points.append(SlicePoints(label, arm.index, x, texts, arm.means[rows], states))
    is_log = any(isinstance(domain, Range) and domain.log for domain in domains)
    log = choices is None and is_log and all(of_row.x.min() > 0 for of_row in points)
    labels = tuple(map(value_text, choices or ()))
    return SlicePanel(
        task, name, tuple(points), labels, log, _ends(domains, points), limits, unplaced
    )


def _ends(domains: Sequence[Choice | Range], points: Sequence[SlicePoints]) -> tuple[float, float]:
    """Return the ends of the domains, and of the values where other domains had them."""
    ends = [end for one in domains if isinstance(one, Range) for end in (one.low, one.high)]
    ends += [end for of_row in points for end in (of_row.x.min(), of_row.x.max())]
    return float(min(ends, default=0.0)), float(max(ends, default=1.0))


def _choices(domains: Sequence[Choice | Range]) -> list[Any] | None:
    """Return the values of choices in order; None where a range makes the axis continuous."""
    if any(isinstance(domain, Range) for domain in domains):
        return None
    values = {
        _identity(value): value
        for domain in domains
        if isinstance(domain, Choice)
        for value in domain.values
    }
    listed = list(values.values())
    return sorted(listed) if all(map(is_number, listed)) else listed


def _identity(value: Any) -> str:
    """Return a text that is the same for equal values; `1` and `1.0` are equal."""
    return canonical_json(float(value) if is_number(value) else value)


def _limits(finals: Numbers, means: Numbers, direction: str) -> tuple[float, float] | None:
    """Return the limits of a y axis; it ends where the scale of a heatmap would.

    Args:
        finals: Means of all configurations that ended well.
        means: Means that are drawn.
        direction: Direction of the metric, `min` or `max`.
    """
    sign = 1.0 if direction == "min" else -1.0
    if not len(means):
        return None
    best, worst = float((sign * means).min()), float((sign * means).max())
    if len(finals):
        first = float((sign * finals).min())
        end = first + LIMIT * (float(np.median(sign * finals)) - first)
        worst = min(worst, end) if end > first else worst
    low, high = sorted((sign * best, sign * worst))
    return (low - 0.08 * (high - low), high + 0.08 * (high - low)) if high > low else None


def _log_limits(means: Numbers) -> tuple[float, float] | None:
    """Return the limits of a logarithmic y axis."""
    positive = means[means > 0]
    if not len(positive) or positive.min() == positive.max():
        return None
    low, high = float(positive.min()), float(positive.max())
    return low * (low / high) ** 0.08, high * (high / low) ** 0.08


def _check_positive(drawn: Sequence[_Drawn], metric: str) -> None:
    if not any((arm.means > 0).any() for arm in drawn):
        raise without_positive(metric)

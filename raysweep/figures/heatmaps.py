"""Heatmaps: how a metric depends on one searched setting, for each estimator and task."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError, nearest
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.results.bins import Column, column_of, columns, value_at
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm, Spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeatmapRequest(MetricRequest):
    """What a heatmap may be asked for, besides what every figure may.

    Args:
        over: The setting, as `section.name` or by its name alone; the only one searched if None.
            Two for a plane: the first along x, the second along y.
    """

    over: str | Sequence[str] | None = None

    @property
    def settings(self) -> tuple[str | None, ...]:
        """The settings' names, one or two.

        Raises:
            SpecError: If there are more, or one of them twice.
        """
        names = (self.over,) if self.over is None or isinstance(self.over, str) else self.over
        if len(names) > 2 or len(set(names)) < len(names):
            raise SpecError(
                f"expected one setting or two, got {', '.join(map(str, names))}; leave some out",
                field="over",
            )
        return tuple(names) or (None,)


@dataclasses.dataclass(frozen=True)
class HeatmapPanel:
    """One estimator.

    Args:
        estimator: Label.
        columns: The setting's values.
        means: Tasks × columns: of the best configuration with that value; NaN without one.
        scores: Likewise, from 0 (worst of its task) to 1 (best); NaN without one.
        provisional: Likewise, whether no configuration with that value has all its seeds yet.
    """

    estimator: str
    columns: tuple[Column, ...]
    means: Numbers
    scores: Numbers
    provisional: tuple[tuple[bool, ...], ...]


@dataclasses.dataclass(frozen=True)
class HeatmapFigure:
    """Panels of a heatmap.

    Args:
        sweep: Its name.
        setting: `section.name`.
        metric: The one shown.
        unit: Its unit.
        select: The metric that selects among the configurations with one value.
        tasks: Labels: the rows of every panel.
        panels: Estimator by estimator.
    """

    sweep: str
    setting: str
    metric: str
    unit: str
    select: str
    tasks: tuple[str, ...]
    panels: tuple[HeatmapPanel, ...]


def prepare(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure:
    """The heatmap of a sweep.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    setting = searched_setting(results.spec, request.settings[0])
    request.check_single("a heatmap")
    scope = SweepView.of(results, request)
    metric = results.metric((*request.metrics, scope.select)[0], "metric")
    by_estimator: dict[str, list[tuple[Arm, list[Candidate]]]] = {}
    for arm, found in scope.candidates(metric):
        by_estimator.setdefault(arm.estimator_label, []).append((arm, found))
    panels = [
        _panel(scope, setting, metric, by_estimator[label])
        for label in scope.estimators
        if label in by_estimator
    ]
    if all(np.isnan(panel.means).all() for panel in panels):
        raise without_values(results, metric)
    about = results.spec.metrics[metric]
    unit = about["unit"]
    return HeatmapFigure(
        results.sweep,
        setting,
        metric,
        unit,
        scope.select,
        scope.tasks,
        _scored(panels, about["direction"]),
    )


def searched_setting(spec: Spec, name: str | None) -> str:
    """The full key of a searched setting.

    Raises:
        SpecError: If there is none of that name, or several.
    """
    known = {key for arm in spec.arms for key in arm.searched}
    if not known:
        raise SpecError(
            "expected a sweep that searches a setting, got one without; "
            "give a setting a list of values",
            field="over",
        )
    found = [key for key in known if name is None or name in (key, key.partition(".")[2])]
    if len(found) == 1:
        return found[0]
    if found and name is None:
        raise SpecError(
            "expected one of the settings that the sweep searches, "
            f"got none: {', '.join(sorted(found))}",
            field="over",
        )
    given = "several of that name" if found else "a setting that the sweep searches"
    wanted = "one setting" if found else given
    raise SpecError(f"expected {wanted}, got {name!r}{nearest(name or '', known)}", field="over")


def _panel(
    scope: SweepView, setting: str, metric: str, arms: Sequence[tuple[Arm, list[Candidate]]]
) -> HeatmapPanel:
    shown = columns([arm for arm, _ in arms], setting)
    means = np.full((len(scope.tasks), len(shown)), np.nan)
    provisional = np.zeros(means.shape, bool)
    for arm, found in arms:
        row = scope.tasks.index(arm.task_label)
        for column, members in _grouped(arm, found, setting, shown).items():
            chosen = choose(members, scope.select, scope.mode)
            values = chosen[0].values(metric) if chosen else []
            if chosen and values:
                means[row, column] = mean_of(values)
                provisional[row, column] = chosen[1] == "provisional"
    flags = tuple(tuple(map(bool, row)) for row in provisional)
    return HeatmapPanel(arms[0][0].estimator_label, shown, means, means, flags)


def _grouped(
    arm: Arm, found: Sequence[Candidate], setting: str, shown: Sequence[Column]
) -> dict[int, list[Candidate]]:
    """The configurations of each column."""
    groups: dict[int, list[Candidate]] = {}
    for candidate in found:
        place = column_of(value_at(arm, candidate, setting), shown)
        if place is not None:
            groups.setdefault(place, []).append(candidate)
    return groups


def _scored(panels: Sequence[HeatmapPanel], direction: str) -> tuple[HeatmapPanel, ...]:
    """The panels with scores: linear in the mean, for each task over all panels."""
    means = np.concatenate([panel.means for panel in panels], axis=1)
    scales = [Scale.of(row, direction) for row in means]
    scores = np.array(
        [
            scale.scores(row) if scale else np.full(len(row), np.nan)
            for scale, row in zip(scales, means, strict=True)
        ]
    )
    ends = np.cumsum([len(panel.columns) for panel in panels])[:-1]
    return tuple(
        dataclasses.replace(panel, scores=own)
        for panel, own in zip(panels, np.split(scores, ends, axis=1), strict=True)
    )

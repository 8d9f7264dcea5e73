"""Heatmaps of a metric over one searched setting, for each estimator and task."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.errors import SpecError, nearest
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.results.bins import Column, column_of, columns, value_at
from raysweep.results.labels import named
from raysweep.results.selection import Candidate, choose
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm, Spec

NO_SEARCH = "this sweep searches no setting; give a setting a list of values"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeatmapRequest(MetricRequest):
    """Options of a heatmap.

    Args:
        over: Setting to show, as `section.name` or by its name alone; the only searched one if
            None. With two settings, the first is along x and the second along y.
    """

    over: str | Sequence[str] | None = None

    @property
    def settings(self) -> tuple[str | None, ...]:
        """Names of the settings, one or two.

        Raises:
            SpecError: If there are more, or one is named twice.
        """
        names = (self.over,) if self.over is None or isinstance(self.over, str) else self.over
        if len(names) > 2 or len(set(names)) < len(names):
            raise SpecError(
                f"expected one setting or two different ones, got {', '.join(map(str, names))}; "
                "leave some out",
                field="over",
            )
        return tuple(names) or (None,)


@dataclasses.dataclass(frozen=True)
class HeatmapPanel:
    """Heatmap of one estimator.

    Args:
        estimator: Label of the estimator.
        columns: Values of the setting.
        means: Mean of the best configuration with each value, tasks × columns; NaN without one.
        scores: Scores of the means, from 0 (worst of the task) to 1 (best); NaN without one.
        provisional: Whether no configuration with the value has all its seeds yet, tasks × columns.
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
        sweep: Name of the sweep.
        setting: Setting shown, as `section.name`.
        metric: Metric that is shown.
        unit: Unit of the metric.
        select: Metric that selects among the configurations with one value.
        tasks: Labels of the tasks, the rows of every panel.
        panels: Panels, one for each estimator that has the setting.
        lacking: Part of the caption on arms that lack the setting; empty if all have it.
    """

    sweep: str
    setting: str
    metric: str
    unit: str
    select: str
    tasks: tuple[str, ...]
    panels: tuple[HeatmapPanel, ...]
    lacking: str


def prepare(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure:
    """Return the heatmap of a sweep over one setting.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    setting = searched_setting(results.spec, request.settings[0])
    request.check_single("a heatmap")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    by_estimator: dict[str, list[tuple[Arm, list[Candidate]]]] = {}
    check_shown(view, [setting])
    for arm, configurations in view.candidates(metric):
        by_estimator.setdefault(arm.estimator_label, []).append((arm, configurations))
    panels = [
        _panel(view, setting, metric, by_estimator[label])
        for label in view.estimators
        if any(setting in arm.space for arm, _ in by_estimator.get(label, ()))
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
        view.select,
        view.tasks,
        _scored(panels, about["direction"]),
        lacking(view, [setting]),
    )


def searched_setting(spec: Spec, name: str | None) -> str:
    """Return the full key of a searched setting.

    Raises:
        SpecError: If no searched setting has this name, or several have.
    """
    known = {key for arm in spec.arms for key in arm.searched}
    if not known:
        raise SpecError(NO_SEARCH, field="over")
    matches = [key for key in known if name is None or name in (key, key.partition(".")[2])]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise SpecError(
            f"expected a searched setting, got {name!r}{nearest(name or '', known)}", field="over"
        )
    several = "several settings are searched" + (f" with the name {name!r}" if name else "")
    raise SpecError(f"{several}; choose one of {', '.join(sorted(matches))}", field="over")


def lacking(view: SweepView, settings: Sequence[str]) -> str:
    """Return the part of a caption on arms without a setting; empty if all have the settings."""
    arms = [arm for arm in view.results.spec.arms if view.holds(arm)]
    every = [(arm.estimator_label, arm.task_label) for arm in arms]
    parts = []
    for setting in settings:
        without = [
            labels for arm, labels in zip(arms, every, strict=True) if setting not in arm.space
        ]
        if without:
            parts.append(f"not shown, without {setting}: {named(without, every)}")
    return "; ".join(parts)


def check_shown(view: SweepView, settings: Sequence[str]) -> None:
    """Check that some arm that is shown has all the settings.

    Raises:
        SpecError: If none has.
    """
    if not any(view.holds(arm) and has_settings(arm, settings) for arm in view.results.spec.arms):
        known = {key for arm in view.results.spec.arms if view.holds(arm) for key in arm.searched}
        others = f"; they search {', '.join(sorted(known))}" if known else ""
        raise SpecError(
            f"none of the {view.results.spec.row_kind}s shown has {' and '.join(settings)}{others}",
            field="over",
        )


def has_settings(arm: Arm, settings: Sequence[str]) -> bool:
    """Return whether an arm has all of these settings, searched or not."""
    return all(setting in arm.space for setting in settings)


def _panel(
    view: SweepView, setting: str, metric: str, arms: Sequence[tuple[Arm, list[Candidate]]]
) -> HeatmapPanel:
    shown = columns([arm for arm, _ in arms], setting)
    means = np.full((len(view.tasks), len(shown)), np.nan)
    provisional = np.zeros(means.shape, bool)
    for arm, configurations in arms:
        row = view.tasks.index(arm.task_label)
        for column, group in grouped(arm, configurations, setting, shown).items():
            chosen = choose(group, view.select, view.mode)
            values = chosen[0].values(metric) if chosen else []
            if chosen and values:
                means[row, column] = mean_of(values)
                provisional[row, column] = chosen[1] == "provisional"
    flags = tuple(tuple(map(bool, row)) for row in provisional)
    return HeatmapPanel(arms[0][0].estimator_label, shown, means, means, flags)


def grouped(
    arm: Arm, configurations: Sequence[Candidate], setting: str, shown: Sequence[Column]
) -> dict[int, list[Candidate]]:
    """Return the configurations of each column."""
    groups: dict[int, list[Candidate]] = {}
    for candidate in configurations:
        index = column_of(value_at(arm, candidate, setting), shown)
        if index is not None:
            groups.setdefault(index, []).append(candidate)
    return groups


def _scored(panels: Sequence[HeatmapPanel], direction: str) -> tuple[HeatmapPanel, ...]:
    """Return the panels with scores: linear in the mean, on one scale for each task."""
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
        dataclasses.replace(panel, scores=part)
        for panel, part in zip(panels, np.split(scores, ends, axis=1), strict=True)
    )

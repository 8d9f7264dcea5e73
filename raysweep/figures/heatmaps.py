"""Heatmaps of a metric over one searched setting, for each estimator and task."""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from raysweep.errors import SpecError, nearest
from raysweep.figures.scale import Scale
from raysweep.figures.scope import MetricRequest, Numbers, SweepView, without_values
from raysweep.results.bins import Column, columns
from raysweep.results.cells import NONE, best_cells, columns_of
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.labels import named
from raysweep.results.setting_column import Indices, Mask
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep.spec import Arm, Spec

PanelAbout: TypeAlias = tuple[str, str, tuple[Column, ...], tuple[Column, ...]]

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


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a panel, rows × columns each.

    Args:
        means: Mean of the best configuration; NaN without one.
        provisional: Whether no configuration has all its seeds yet.
        tried: Number of configurations with ended runs.
        stopped: Number of those that were stopped early.
        lost: Number of those with a diverged or failed seed that were not stopped early.
        reached: Best mean where a configuration was stopped early; NaN where it is not known.
    """

    means: Numbers
    provisional: Mask
    tried: Indices
    stopped: Indices
    lost: Indices
    reached: Numbers


@dataclasses.dataclass(frozen=True, eq=False)
class HeatmapPanel:
    """Heatmap of one estimator: with a row for each task, or on one task over two settings.

    Args:
        task: Label of the task; empty where the rows are tasks.
        estimator: Label of the estimator.
        x: Values of the setting along x.
        y: Values of the setting along y, or the tasks.
        cells: What the cells show, y × x.
        scores: Scores of the means, from 0 (worst of the task) to 1 (best); NaN without one.
        selected: Indices along y and x of the arm's selected configuration; None without one.
    """

    task: str
    estimator: str
    x: tuple[Column, ...]
    y: tuple[Column, ...]
    cells: Cells
    scores: Numbers
    selected: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class HeatmapFigure:
    """Panels of a heatmap.

    Args:
        sweep: Name of the sweep.
        settings: Setting along x, and the one along y if there are two, `section.name` each.
        metric: Metric that is shown.
        unit: Unit of the metric.
        select: Metric that selects among the configurations of a cell.
        tasks: Labels of the tasks.
        panels: Panels, task by task, then estimator by estimator, of those with the settings.
        lacking: Part of the caption on arms that lack a setting; empty if all have them.
    """

    sweep: str
    settings: tuple[str, ...]
    metric: str
    unit: str
    select: str
    tasks: tuple[str, ...]
    panels: tuple[HeatmapPanel, ...]
    lacking: str


@dataclasses.dataclass(frozen=True, eq=False)
class PlacedArm:
    """Configurations of an arm in the cells of a panel.

    Args:
        indices: Indices of the configurations.
        panel: Index of the panel.
        cells: Flat index of each configuration's cell; `NONE` outside the panel.
    """

    indices: Indices
    panel: int
    cells: Indices


def prepare(results: SweepResults, request: HeatmapRequest) -> HeatmapFigure:
    """Return the heatmap of a sweep over one setting.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    setting = searched_setting(results.spec, request.settings[0])
    view, metric = shown_metric(results, request, [setting])
    stats = results.configurations(view.select, metric)
    rows = tuple(Column(task) for task in view.tasks)
    panels: list[PanelAbout] = []
    placed: list[PlacedArm] = []
    for estimator in view.estimators:
        arms = [a for a in view.arms if a.estimator_label == estimator and setting in a.space]
        if not arms:
            continue
        x = columns(arms, setting)
        for arm in arms:
            indices = stats.of(arm)
            cells = columns_of(arm, stats, indices, setting, x)
            row = view.tasks.index(arm.task_label)
            placed.append(PlacedArm(indices, len(panels), offset(cells, row * len(x))))
        panels.append(("", estimator, x, rows))
    shown = panels_of(stats, placed, panels, (view, metric))
    return figure_of(results, (view, metric), (setting,), shown)


def figure_of(
    results: SweepResults,
    shown: tuple[SweepView, str],
    settings: tuple[str, ...],
    panels: tuple[HeatmapPanel, ...],
) -> HeatmapFigure:
    """Return a figure of panels.

    Args:
        results: Results of the sweep.
        shown: Part of the sweep that is shown, and the metric.
        settings: One or two settings.
        panels: Panels of the figure.

    Raises:
        SpecError: If no cell has a value.
    """
    view, metric = shown
    if all(np.isnan(panel.cells.means).all() for panel in panels):
        raise without_values(results, metric)
    return HeatmapFigure(
        results.sweep,
        settings,
        metric,
        results.spec.metrics[metric]["unit"],
        view.select,
        view.tasks,
        panels,
        lacking(view, settings),
    )


def shown_metric(
    results: SweepResults, request: HeatmapRequest, settings: Sequence[str]
) -> tuple[SweepView, str]:
    """Return the part of a sweep that a request selects, and its metric.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    request.check_single("a heatmap")
    view = SweepView.of(results, request)
    metric = results.metric((*request.metrics, view.select)[0], "metric")
    check_shown(view, settings)
    return view, metric


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
    arms = view.arms
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
    if not any(has_settings(arm, settings) for arm in view.arms):
        known = {key for arm in view.arms for key in arm.searched}
        others = f"; they search {', '.join(sorted(known))}" if known else ""
        raise SpecError(
            f"none of the {view.results.spec.row_kind}s shown has {' and '.join(settings)}{others}",
            field="over",
        )


def has_settings(arm: Arm, settings: Sequence[str]) -> bool:
    """Return whether an arm has all of these settings, searched or not."""
    return all(setting in arm.space for setting in settings)


def offset(cells: Indices, start: int) -> Indices:
    """Return indices of cells that begin at a position; `NONE` stays."""
    return np.where(cells == NONE, NONE, cells + start)


def panels_of(
    stats: ConfigurationStats,
    placed: Sequence[PlacedArm],
    panels: Sequence[PanelAbout],
    shown: tuple[SweepView, str],
) -> tuple[HeatmapPanel, ...]:
    """Return the panels of a figure, with the best configuration of every cell.

    Args:
        stats: Statistics of all configurations.
        placed: Configurations of every arm in the cells of its panel.
        panels: Task, estimator, columns and rows of each panel.
        shown: Part of the sweep that is shown, and the metric.
    """
    view, metric = shown
    shapes = [(len(y), len(x)) for _, _, x, y in panels]
    starts = np.cumsum([0, *(rows * columns for rows, columns in shapes)])
    indices = np.concatenate([arm.indices for arm in placed])
    flat = np.concatenate([offset(arm.cells, int(starts[arm.panel])) for arm in placed])
    kept = flat != NONE
    members = indices[kept], flat[kept], int(starts[-1])
    best = best_cells(stats, members, view.select, metric)
    means = np.full(members[2], np.nan)
    known = best.best != NONE
    means[known] = [stats.mean(index, metric) for index in best.best[known].tolist()]
    provisional = ~best.complete & ~np.isnan(means)
    arrays = (means, provisional, best.tried, best.stopped, best.lost, best.reached)
    parts = [np.split(array, starts[1:-1]) for array in arrays]
    cells = [
        Cells(*(part[number].reshape(shape) for part in parts))
        for number, shape in enumerate(shapes)
    ]
    direction = view.results.spec.metrics[metric]["direction"]
    scores = _scores(view.tasks, [task for task, *_ in panels], cells, direction)
    return tuple(
        HeatmapPanel(*about, of_panel, score)
        for about, of_panel, score in zip(panels, cells, scores, strict=True)
    )


def _scores(
    tasks: Sequence[str], panels: Sequence[str], cells: Sequence[Cells], direction: str
) -> list[Numbers]:
    """Return the scores of each panel's means: linear in the mean, on one scale for each task.

    Args:
        tasks: Labels of the tasks.
        panels: Task of each panel; empty where its rows are the tasks.
        cells: Cells of each panel.
        direction: Direction of the metric, `min` or `max`.
    """
    scores = [np.full(of_panel.means.shape, np.nan) for of_panel in cells]
    for index, task in enumerate(tasks):
        rows = [
            slice(index, index + 1) if not label else slice(None if label == task else 0)
            for label in panels
        ]
        means = [of_panel.means[row] for of_panel, row in zip(cells, rows, strict=True)]
        scale = Scale.of(np.concatenate([part.ravel() for part in means]), direction)
        for score, row, part in zip(scores, rows, means, strict=True):
            if scale is not None:
                score[row] = scale.scores(part)
    return scores

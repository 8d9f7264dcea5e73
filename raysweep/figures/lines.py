"""A metric over one setting: the mean over seeds and a band, for each task and estimator."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures.curves import CurvesFigure, CurvesRequest, Line, Panel, check_positive
from raysweep.figures.heatmaps import check_shown, lacking, searched_setting
from raysweep.figures.scope import Numbers, SweepView, without_values
from raysweep.figures.statistics import check_band, over_seeds
from raysweep.figures.ticks import is_power_of_ten, one_digit_numbers
from raysweep.results.bins import Column, columns, is_number, value_text
from raysweep.results.cells import NONE, best_of, columns_of
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep import space
from raysweep.sweep.spec import Arm

LOG_SPAN = 30.0  # values whose largest is this many times the smallest have a logarithmic axis


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinesRequest(CurvesRequest):
    """Options of a figure of lines over a setting.

    Args:
        over: Setting along the x axis, as `section.name` or by its name alone; the only searched
            one if None.
    """

    over: str | Sequence[str] | None = None

    @property
    def setting(self) -> str | None:
        """Name of the setting.

        Raises:
            SpecError: If there are several.
        """
        names = (self.over,) if self.over is None or isinstance(self.over, str) else self.over
        if len(names) > 1:
            raise SpecError(
                f"expected one setting for lines, got {', '.join(map(str, names))}; a heatmap "
                "shows two",
                field="over",
            )
        return names[0] if names else None


@dataclasses.dataclass(frozen=True)
class LinesFigure:
    """Panels of lines over a setting.

    Args:
        curves: Panels, whose steps are the indices of the setting's values.
        setting: Setting along the x axis, as `section.name`.
        values: Positions along x of the points of each panel's lines.
        log: Whether the x axes are logarithmic.
        ticks: Positions along x to label, with their labels, the most important first; empty for
            round numbers.
        lacking: Part of the caption on arms that lack the setting; empty if all have it.
    """

    curves: CurvesFigure
    setting: str
    values: tuple[tuple[Numbers, ...], ...]
    log: bool
    ticks: tuple[tuple[float, str], ...]
    lacking: str


def prepare(results: SweepResults, request: LinesRequest) -> LinesFigure:
    """Return lines of a sweep's metrics over one setting.

    Raises:
        SpecError: If the request names something that the sweep lacks, the setting's values are
            no numbers, or nothing can be drawn yet.
    """
    setting = searched_setting(results.spec, request.setting)
    band = check_band(request.band)
    view = SweepView.of(results, request)
    metrics = request.metrics or (view.select,)
    for name in metrics:
        results.metric(name, "metric")
    check_shown(view, [setting])
    stats = results.configurations(view.select, *metrics)
    arms = [arm for arm in view.arms if setting in arm.space]
    shown = columns(arms, setting)
    positions = _positions(shown, setting)
    best = {arm: _best(view, stats, arm, (setting, shown)) for arm in arms}
    panels = tuple(
        Panel(metric, task, _lines(view, stats, best, (metric, task), band))
        for metric in metrics
        for task in view.tasks
    )
    for metric in metrics:
        if not any(panel.lines for panel in panels if panel.metric == metric):
            raise without_values(results, metric)
    if request.log:
        check_positive(panels)
    units = {metric: results.spec.metrics[metric]["unit"] for metric in metrics}
    other = any(key != setting for arm in view.arms for key in arm.searched)
    selection = (
        f"at the configuration with the {view.mode}imum mean {view.select} for each value"
        if other
        else ""
    )
    lines = [line for panel in panels for line in panel.lines]
    runs = len({run_id for line in lines for run_id in line.run_ids})
    curves = CurvesFigure(
        results.sweep, panels, len(view.tasks), units, selection, request.log, band, runs, 0
    )
    values = tuple(tuple(positions[line.steps] for line in panel.lines) for panel in panels)
    log = positions.min() > 0 and (
        positions.max() >= LOG_SPAN * positions.min() or _is_log(arms, setting)
    )
    ticks = _ticks(shown, positions, log=log)
    return LinesFigure(curves, setting, values, bool(log), ticks, lacking(view, [setting]))


def _is_log(arms: Sequence[Arm], setting: str) -> bool:
    """Return whether some arm has a logarithmic range of a setting, and so intervals of it."""
    domains = [space.plain(arm.space[setting]) for arm in arms if setting in arm.space]
    return any(isinstance(domain, space.Range) and domain.log for domain in domains)


def _ticks(
    shown: Sequence[Column], positions: Numbers, *, log: bool
) -> tuple[tuple[float, str], ...]:
    """Return the ticks: the values of the setting, or round numbers along an axis of intervals.

    The ends come first, then powers of ten, then the others in order. A logarithmic axis has ticks
    at the powers of ten between its values, too, where there is room.
    """
    numbers = sorted(set(positions.tolist()))
    low, high = numbers[0], numbers[-1]
    round_ones = one_digit_numbers(low, high) if log else []
    decades = [number for number in round_ones if is_power_of_ten(number)]
    if any(column.interval is not None for column in shown):
        order = decades if len(decades) > 2 else [*decades, *round_ones]
    else:
        known = [number for number in decades if number in numbers]
        order = [low, high, *known, *numbers, *decades]
    order = list(dict.fromkeys(order))
    return tuple(zip(order, _texts(order), strict=True))


def _texts(numbers: Sequence[float]) -> list[str]:
    """Return numbers as short texts: with three digits if that is shorter and they differ."""
    short = [min(value_text(number), f"{number:.3g}", key=len) for number in numbers]
    return short if len(set(short)) == len(short) else [value_text(number) for number in numbers]


def _positions(shown: Sequence[Column], setting: str) -> Numbers:
    """Return the positions of a setting's values along x: of an interval, its middle.

    Raises:
        SpecError: If a value is no number.
    """
    positions = []
    for column in shown:
        if column.interval is not None:
            low, high = column.interval
            positions.append((low * high) ** 0.5 if low > 0 else (low + high) / 2)
        elif is_number(column.value):
            positions.append(column.value)
        else:
            raise SpecError(
                f"expected a setting of numbers for lines, got {setting} with the value "
                f"{column.label}; a heatmap shows any values",
                field="over",
            )
    return np.array(positions, np.float64)


def _best(
    view: SweepView, stats: ConfigurationStats, arm: Arm, over: tuple[str, Sequence[Column]]
) -> dict[int, tuple[int, bool]]:
    """Return the best configuration at each value, and whether all its seeds are done."""
    indices = stats.of(arm)
    columns = columns_of(arm, stats, indices, *over)
    kept = columns != NONE
    members = indices[kept], columns[kept], len(over[1])
    best, complete = best_of(stats, members, view.select, view.mode)
    pairs = zip(best.tolist(), complete.tolist(), strict=True)
    return {column: pair for column, pair in enumerate(pairs) if pair[0] != NONE}


def _lines(
    view: SweepView,
    stats: ConfigurationStats,
    best: Mapping[Arm, Mapping[int, tuple[int, bool]]],
    shown: tuple[str, str],
    band: str,
) -> tuple[Line, ...]:
    """Return the lines of one panel.

    Args:
        view: Part of the sweep that is shown.
        stats: Statistics of all configurations.
        best: Best configuration of each arm at each value.
        shown: Metric and label of the task.
        band: Kind of the bands.
    """
    metric, task = shown
    lines = []
    for arm, by_column in best.items():
        points = {
            column: (stats.values(index, metric), complete)
            for column, (index, complete) in by_column.items()
        }
        points = {column: point for column, point in points.items() if point[0]}
        if points and arm.task_label == task:
            lines.append(_line(view, arm, points, band))
    return tuple(sorted(lines, key=lambda line: line.index))


def _line(
    view: SweepView, arm: Arm, points: Mapping[int, tuple[Sequence[float], bool]], band: str
) -> Line:
    seeds = max(len(values) for values, _ in points.values())
    rows = np.full((seeds, len(points)), np.nan)
    for column, (values, _) in enumerate(points.values()):
        rows[: len(values), column] = values
    mean, low, high, count = over_seeds(rows, band)
    return Line(
        arm.estimator_label,
        view.estimator_index(arm.estimator_label),
        np.array(list(points), np.int64),
        mean,
        low,
        high,
        count,
        not all(complete for _, complete in points.values()),
        (),
    )

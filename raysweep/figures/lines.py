"""A metric over one setting: the mean over seeds and a band, for each task and estimator."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import curves
from raysweep.figures.curves import CurvesRequest
from raysweep.figures.heatmaps import check_shown, lacking, searched_setting
from raysweep.figures.line_charts import Axis, Line, LineFigure, Look, Panel
from raysweep.figures.scope import Numbers, SweepView, without_values
from raysweep.figures.size import LETTER, SCREEN
from raysweep.figures.statistics import check_band, over_seeds
from raysweep.figures.ticks import is_power_of_ten, one_digit_numbers
from raysweep.results.bins import Column, columns, is_number, value_text
from raysweep.results.cells import NONE, best_of, columns_of
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.sweep_results import SweepResults
from raysweep.sweep import space
from raysweep.sweep.spec import Arm

PANEL = 300.0  # points of a panel for which ticks are chosen; narrower ones leave some out
GAP = 4.0  # points between the labels of two ticks
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


def prepare(results: SweepResults, request: LinesRequest) -> LineFigure:
    """Return lines of a sweep's metrics over one setting.

    Raises:
        SpecError: If the request names something that the sweep lacks, the setting's values are
            no numbers, or nothing can be drawn yet.
    """
    setting = searched_setting(results.spec, request.setting)
    check_band(request.band)
    view = SweepView.of(results, request)
    metrics = request.metrics or (view.select,)
    for name in metrics:
        results.metric(name, "metric")
    check_shown(view, [setting])
    stats = results.configurations(view.select, *metrics)
    arms = [arm for arm in view.arms if setting in arm.space]
    shown = columns(arms, setting)
    positions = _positions(shown, setting)
    x = _across(setting, positions, arms, has_intervals=any(c.interval is not None for c in shown))
    best = {arm: _best(view, stats, arm, (setting, shown)) for arm in arms}
    panels = []
    for metric in metrics:
        y = curves.metric_axis(view, metric, log=request.log)
        for task in view.tasks:
            made = [
                _line(view, arm, _points(stats, of_arm, metric), (positions, request.band))
                for arm, of_arm in best.items()
                if arm.task_label == task
            ]
            lines = sorted(filter(None, made), key=lambda line: line.index)
            panels.append(Panel(title=task, metric=metric, lines=tuple(lines), x=x, y=y))
    for metric in metrics:
        if not any(panel.lines for panel in panels if panel.metric == metric):
            raise without_values(results, metric)
    curves.check_positive(panels)
    other = any(key != setting for arm in view.arms for key in arm.searched)
    selection = f"at the configuration with the {view.mode}imum mean {view.select} for each value"
    notes = [selection if other else ""], [lacking(view, [setting])]
    figure = curves.figure_of(view, panels, request.band, notes)
    return dataclasses.replace(figure, look=Look(count="seeds", marks_points=True))


def _across(setting: str, positions: Numbers, arms: Sequence[Arm], *, has_intervals: bool) -> Axis:
    """Return the horizontal axis, with ticks at the values that have room for their labels."""
    log = bool(
        positions.min() > 0
        and (positions.max() >= LOG_SPAN * positions.min() or _is_log(arms, setting))
    )
    ticks = _apart(_ticks(positions, log=log, has_intervals=has_intervals), log=log)
    name = setting.partition(".")[2]
    text = f"{json.dumps(_texts(ticks))}[indexof({json.dumps(ticks)}, datum.value)]"
    options = {"values": ticks, "labelExpr": text}
    return Axis(title=name, tip=name, format=".4g", options=options, log=log)


def _is_log(arms: Sequence[Arm], setting: str) -> bool:
    """Return whether some arm has a logarithmic range of a setting, and so intervals of it."""
    domains = [space.plain(arm.space[setting]) for arm in arms if setting in arm.space]
    return any(isinstance(domain, space.Range) and domain.log for domain in domains)


def _ticks(positions: Numbers, *, log: bool, has_intervals: bool) -> list[float]:
    """Return the ticks: the values of the setting, or round numbers along an axis of intervals.

    The ends come first, then powers of ten, then the others in order. A logarithmic axis has ticks
    at the powers of ten between its values, too, where there is room.
    """
    numbers = sorted(set(positions.tolist()))
    low, high = numbers[0], numbers[-1]
    round_ones = one_digit_numbers(low, high) if log else []
    decades = [number for number in round_ones if is_power_of_ten(number)]
    if has_intervals:
        order = decades if len(decades) > 2 else [*decades, *round_ones]
    else:
        known = [number for number in decades if number in numbers]
        order = [low, high, *known, *numbers, *decades]
    return list(dict.fromkeys(order))


def _apart(ticks: Sequence[float], *, log: bool) -> list[float]:
    """Return the ticks with room for their labels in a panel; the first ones come first."""
    if not ticks:
        return []
    positions = np.log10(ticks) if log else np.asarray(ticks)
    span = float(np.ptp(positions)) or 1.0
    shown: list[tuple[float, float, float]] = []  # middle and half width of a label, in points
    for value, text, position in zip(ticks, _texts(ticks), positions.tolist(), strict=True):
        middle = PANEL * position / span
        half = (len(text) * LETTER * SCREEN.small + GAP) / 2
        if all(abs(middle - other) >= half + least for other, least, _ in shown):
            shown.append((middle, half, value))
    return sorted(value for _, _, value in shown)


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


def _points(
    stats: ConfigurationStats, of_arm: Mapping[int, tuple[int, bool]], metric: str
) -> dict[int, tuple[Sequence[float], bool]]:
    """Return the seeds' values at each value of the setting, and whether all seeds are done."""
    points = {
        column: (stats.values(i, metric), complete) for column, (i, complete) in of_arm.items()
    }
    return {column: point for column, point in points.items() if point[0]}


def _line(
    view: SweepView,
    arm: Arm,
    points: Mapping[int, tuple[Sequence[float], bool]],
    about: tuple[Numbers, str],
) -> Line | None:
    """Return the line through points, at their positions along x and with a kind of band."""
    if not points:
        return None
    positions, band = about
    rows = np.full((max(len(values) for values, _ in points.values()), len(points)), np.nan)
    for column, (values, _) in enumerate(points.values()):
        rows[: len(values), column] = values
    mean, low, high, count = over_seeds(rows, band)
    is_complete = all(complete for _, complete in points.values())
    return Line(
        estimator=arm.estimator_label,
        index=view.estimator_index(arm.estimator_label),
        x=positions[list(points)],
        y=mean,
        band=(low, high),
        count=count,
        state="selected" if is_complete else "provisional",
    )

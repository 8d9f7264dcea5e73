"""Best configuration of every cell of a heatmap, for all cells at once.

A report has dozens of heatmaps, and a sweep may have 200,000 configurations, so none of them is
looked up by itself.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from raysweep.results.bins import Column, column_of, value_at
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.frame import Numbers
from raysweep.results.setting_column import Indices, Mask, SettingColumn
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Fixed
from raysweep.sweep.spec import Arm

NONE = -1  # instead of an index


@dataclasses.dataclass(frozen=True, eq=False)
class BestCells:
    """Best configuration of each cell, and how the others ended.

    Args:
        best: Index of the configuration with the best mean; `NONE` where none is eligible.
        complete: Whether all its planned seeds are done; otherwise it is provisional.
        tried: Number of configurations with ended runs.
        stopped: Number of those that were stopped early.
        lost: Number of those with a diverged or failed seed that were not stopped early.
        reached: Best mean of the metric among the configurations that were stopped early, where
            they were stopped; NaN where it is not known.
    """

    best: Indices
    complete: Mask
    tried: Indices
    stopped: Indices
    lost: Indices
    reached: Numbers


def best_cells(
    stats: ConfigurationStats, members: tuple[Indices, Indices, int], select: str, metric: str
) -> BestCells:
    """Return the best configuration of each cell; one of several arms counts in each.

    Args:
        stats: Statistics of all configurations.
        members: Indices of configurations, the cell of each, and the number of cells.
        select: Metric whose mean over the seeds of the search decides.
        metric: Metric of the means that stopped configurations reached.
    """
    indices, cells, count = members
    about = stats.spec.metrics
    best, complete = best_of(stats, members, select, about[select]["direction"])
    stopped = stats.has("stopped")[indices]
    lost = stats.bad[indices] & ~stopped
    sign = 1.0 if about[metric]["direction"] == "min" else -1.0
    reached = np.full(count, np.inf)
    losses = sign * stats.reached(metric)[indices[stopped]]
    np.fmin.at(reached, cells[stopped], losses)
    return BestCells(
        best,
        complete,
        np.bincount(cells, minlength=count),
        np.bincount(cells[stopped], minlength=count),
        np.bincount(cells[lost], minlength=count),
        np.where(np.isfinite(reached), sign * reached, np.nan),
    )


def best_of(
    stats: ConfigurationStats, members: tuple[Indices, Indices, int], select: str, mode: str
) -> tuple[Indices, Mask]:
    """Return what `ConfigurationStats.best` returns, for many groups of configurations at once.

    Args:
        stats: Statistics of all configurations.
        members: Indices of configurations, the group of each, and the number of groups.
        select: Metric whose mean over the seeds of the search decides.
        mode: Direction of the metric, `min` or `max`.

    Returns:
        Index of the best configuration of each group, `NONE` where none is eligible, and whether
        all its seeds are done.
    """
    indices, groups, count = members
    good, eligible = stats.eligible(indices, select)
    complete = np.zeros(count, bool)
    complete[groups[eligible]] = True
    pool = np.where(complete[groups], eligible, good)
    indices, groups = indices[pool], groups[pool]
    means = stats.means(select)
    losses, error = (1.0 if mode == "min" else -1.0) * means.mean[indices], means.error[indices]
    with np.errstate(over="ignore", invalid="ignore"):
        limits = np.full(count, np.inf)
        np.fmin.at(limits, groups, losses + error)
        near = ~(losses - error > limits[groups])
    indices, groups = indices[near], groups[near]
    order = np.argsort(groups, kind="stable")
    known, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    best = np.full(count, NONE, np.int64)
    best[known] = indices[order[starts]]
    for group, start, size in zip(
        *(array[sizes > 1].tolist() for array in (known, starts, sizes)), strict=True
    ):
        chosen = stats.best(indices[order[start : start + size]], select, mode)
        if chosen is not None:
            best[group] = chosen[0]
    return best, complete


def columns_of(
    arm: Arm,
    stats: ConfigurationStats,
    indices: Indices,
    setting: str,
    shown: Sequence[Column],
) -> Indices:
    """Return the index of the column that holds each configuration's value of a setting.

    Args:
        arm: Arm of the configurations, which has the setting.
        stats: Statistics of all configurations.
        indices: Indices of the configurations.
        setting: Key of the setting, `section.name`.
        shown: Columns, in order.

    Returns:
        An index for each configuration; `NONE` where no column has the value.
    """
    domain = arm.space[setting]
    if isinstance(domain, Fixed):
        return np.full(len(indices), _index(domain.value, shown))
    columns = np.full(len(indices), NONE, np.int64)
    column = stats.runs.setting(setting)
    known = stats.runs.has_definition(indices, arm.definition)
    if column is None:
        known = np.zeros(len(indices), bool)
    else:
        columns[known] = _columns_in(column, indices[known], shown)
    for position in np.flatnonzero(~known).tolist():  # of earlier versions, whose defaults differ
        candidate = stats.candidate(arm, int(indices[position]))
        columns[position] = _index(value_at(arm, candidate, setting), shown)
    return columns


def _index(value: object, shown: Sequence[Column]) -> int:
    index = column_of(value, shown)
    return NONE if index is None else index


def _columns_in(column: SettingColumn, indices: Indices, shown: Sequence[Column]) -> Indices:
    if column.numbers is None or all(one.interval is None for one in shown):
        stored, codes = column.distinct
        columns = np.array([_index(value, shown) for value in stored], np.int64)
        return columns[codes[indices]]
    values = column.numbers[indices]
    columns = np.full(len(values), NONE, np.int64)
    first = next(index for index, one in enumerate(shown) if one.interval is not None)
    ends = [one.interval[1] for one in shown[first:-1] if one.interval is not None]
    inside = ~np.isnan(values)
    columns[inside] = first + np.searchsorted(ends, values[inside], side="right")
    for index in reversed(range(first)):  # single values, the first of which counts
        columns[_is(values, shown[index].value, column)] = index
    return columns


def _is(values: Numbers, value: object, column: SettingColumn) -> Mask:
    """Return the mask of the numbers that are this value; ids distinguish `1.0` from `1`."""
    if value is None:
        return np.isnan(values)
    is_number = isinstance(value, float if column.is_floating else int)
    if isinstance(value, bool) or not is_number:
        return np.zeros(len(values), bool)
    return values == float(canonical_json(value))

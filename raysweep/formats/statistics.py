"""Statistics of a sweep: as tables, and as text, Markdown, CSV or JSON."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysweep.formats.captions import title, without_value
from raysweep.formats.data import csv_of
from raysweep.formats.entries import number
from raysweep.formats.grid import NONE, Grid, row
from raysweep.formats.markup import as_markdown
from raysweep.formats.text import as_text
from raysweep.results.aggregates import (
    SEED_STATISTICS,
    ArmStatistics,
    Improvement,
    SeedStatistic,
    Statistics,
)
from raysweep.results.sensitivity import Sensitivity
from raysweep.results.stats.summary import Interval
from raysweep.results.table import Column, ResultTable
from raysweep.text import counted

ARM_HEAD = (
    *("task", "n"),
    *(statistic.label for statistic in SEED_STATISTICS),
    *("configurations", "diverged", "failed", "stopped"),
)
PROVISIONAL = "? provisional: not all planned seeds have ended"
ARM_NOTES = (
    "n: seeds of the selected configuration",
    "; ".join(statistic.note for statistic in SEED_STATISTICS if statistic.note),
    "configurations: number with ended runs; diverged, failed, stopped: number of those that a "
    "diverged seed, a failed seed or early stopping excludes",
)
IQM_NOTES = (
    "scores: linear on each task, 0 for the worst {kind}'s mean and 1 for the best one's; they "
    "depend on which {kind}s are compared",
    "interval: stratified bootstrap over seeds; none with too few values",
)
IMPROVEMENT_NOTE = (
    "0.50 is no difference; in brackets the 95 % interval (Wilson's, with DeLong's variance), "
    "where there are enough values"
)
SENSITIVITY_HEAD = ("task", "setting", "value", "eligible")
HELD_AND_FREE = (
    " (held: all other settings as selected; free: the best configuration with the value)"
)
FREE = ", of the best configuration with each value"
SENSITIVITY_NOTES = (
    "eligible: number of configurations with the value that can be selected",
    "*: selected, with its mean",
)
NONE_ELIGIBLE = "–: none eligible"
NOT_APPLIED = "– in the column value: the setting does not apply"


def grids(statistics: Statistics, moves: Sequence[Sensitivity]) -> list[Grid]:
    """Return the tables of statistics; those over tasks need two rows to compare.

    Args:
        statistics: Statistics of each arm and over tasks.
        moves: Sensitivities to settings; none for a report without them.
    """
    below = _not_compared(statistics)
    tables = [_arms(statistics, [] if statistics.improvements else below)]
    if statistics.over_tasks:
        tables.append(_over_tasks(statistics, below))
    if statistics.improvements:
        tables.append(_improvements(statistics, below))
    if moves:
        tables.append(_sensitivity(statistics, moves))
    return tables


def as_csv(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return a line per arm, unrounded; only JSON has the other statistics."""
    return csv_of(_flat(arm.record()) for arm in statistics.arms)


def as_json(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return all statistics as one JSON object, unrounded."""
    data = {
        "sweep": statistics.table.sweep,
        "select": statistics.table.select,
        "report": statistics.table.report,
        "row_kind": statistics.table.row_kind,
        "arms": [arm.record() for arm in statistics.arms],
        "tasks": list(statistics.tasks),
        "over_tasks": [dataclasses.asdict(scores) for scores in statistics.over_tasks],
        "left_out": list(statistics.left_out),
        "improvements": [dataclasses.asdict(pair) for pair in statistics.improvements],
        "sensitivity": [dataclasses.asdict(sensitivity) for sensitivity in moves],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _arms(statistics: Statistics, not_compared: Sequence[str]) -> Grid:
    table = statistics.table
    rows = tuple(
        row(
            [
                arm.estimator,
                arm.task,
                _seeds(table, arm),
                *(
                    statistic_text(statistic, arm.over_seeds[statistic.name], arm.std)
                    for statistic in SEED_STATISTICS
                ),
                *(arm.configurations, arm.diverged, arm.failed, arm.stopped),
            ]
        )
        for arm in statistics.arms
    )
    caption = title(table, counted=table.seeds is None, numbers="statistics")
    provisional = any(arm.status == "provisional" for arm in statistics.arms)
    words = [*([PROVISIONAL] if provisional else []), *without_value(table)]
    notes = (*words, *ARM_NOTES, *not_compared)
    head = (table.row_kind, *ARM_HEAD)
    return Grid(caption, head, rows, notes, frozenset(range(2, len(head))), keys=2)


def _seeds(table: ResultTable, arm: ArmStatistics) -> str:
    """Return the number of seeds, marked as in the table; without values, the table's word."""
    entry = table.entry(arm.estimator, Column("task", arm.task))
    if entry.n is None:
        return entry.word
    return f"{entry.n} ?" if entry.provisional else str(entry.n)


def _not_compared(statistics: Statistics) -> list[str]:
    """Return the notes on rows and tasks that are not compared."""
    notes = []
    if statistics.left_out:
        left = ", ".join(statistics.left_out)
        notes.append(f"not compared over tasks, without a final mean on each: {left}")
    if empty := [task for task in statistics.table.tasks if task not in statistics.compared]:
        notes.append(f"tasks without final means: {', '.join(empty)}")
    return notes


def _over_tasks(statistics: Statistics, not_compared: Sequence[str]) -> Grid:
    tasks = counted(len(statistics.tasks), "task")
    metric = statistics.table.report
    caption = f"Interquartile mean (IQM) of normalised {metric} over {tasks}; higher is better"
    rows = []
    for scores in statistics.over_tasks:
        iqm = round(scores.iqm, 3) + 0.0  # turns -0.0 into 0.0
        rows.append(row([scores.estimator, scores.n, f"{iqm:.3f}", _interval(scores.interval)]))
    equal = [task for task in statistics.compared if task not in statistics.tasks]
    without = [f"no scores, all means are equal: {', '.join(equal)}"] if equal else []
    kind = statistics.table.row_kind
    head = (kind, "values", "IQM", "95 % interval")
    notes = (*(note.format(kind=kind) for note in IQM_NOTES), *without, *not_compared)
    return Grid(caption, head, tuple(rows), notes, frozenset({1, 2, 3}))


def _improvements(statistics: Statistics, not_compared: Sequence[str]) -> Grid:
    known = statistics.matrix
    labels = [label for label in statistics.table.estimators if label not in statistics.left_out]
    rows = tuple(
        row([first, *(_probability(known.get((first, second))) for second in labels)])
        for first in labels
    )
    caption = (
        f"Probability of improvement in {statistics.table.report}: that a run of the row's "
        f"{statistics.table.row_kind} is better than one of the column's, averaged over tasks"
    )
    head = ("row better than column", *labels)
    notes = (IMPROVEMENT_NOTE, *not_compared)
    return Grid(caption, head, rows, notes, frozenset(range(1, len(head))))


def _sensitivity(statistics: Statistics, moves: Sequence[Sensitivity]) -> Grid:
    """Return the table of sensitivities; samplers other than a grid rarely hold settings."""
    held = any(moved.held is not None and not moved.here for one in moves for moved in one.moves)
    rows = []
    without = [sensitivity for sensitivity in moves if _changes_nothing(sensitivity)]
    for sensitivity in moves:
        if sensitivity in without:
            continue
        named = [sensitivity.estimator, sensitivity.task, sensitivity.setting.partition(".")[2]]
        # A range has many intervals, in some of which nothing was tried.
        tried = [moved for moved in sensitivity.moves if moved.configurations or moved.here]
        mean = sensitivity.mean
        for moved in tried:
            changes = [_change(moved.held, mean), _change(moved.free, mean)][0 if held else 1 :]
            if moved.here:
                changes[0] = f"{mean:.5g}"
            value = f"{'* ' if moved.here else ''}{moved.value}"
            rows.append(row([*named, value, moved.configurations, *changes]))
            named = [""] * len(named)
    caption = (
        f"Sensitivity: change of the mean {statistics.table.report} over the seeds of the search "
        f"with one setting{HELD_AND_FREE if held else FREE}"
    )
    head = (
        statistics.table.row_kind,
        *SENSITIVITY_HEAD,
        *(("held", "free") if held else ("change",)),
    )
    values = [cells[3].text.removeprefix("* ") for cells in rows]
    missing = any(NONE in (cell.text for cell in cells[4:]) for cells in rows)
    notes = [*([NONE_ELIGIBLE] if missing else []), *([NOT_APPLIED] if NONE in values else [])]
    if without:
        names = ", ".join(dict.fromkeys(one.setting.partition(".")[2] for one in without))
        arms = len({(one.estimator, one.task) for one in without})
        notes.append(f"left out, as no value changes the mean: {names} of {counted(arms, 'arm')}")
    numbers = frozenset(range(3, len(head)))
    return Grid(caption, head, tuple(rows), (*SENSITIVITY_NOTES, *notes), numbers, keys=4)


def _changes_nothing(sensitivity: Sensitivity) -> bool:
    """Return whether a setting's other values were tried and give exactly the same mean."""
    others = [one for one in sensitivity.moves if one.configurations and not one.here]
    values = {value for one in others for value in (one.held, one.free) if value is not None}
    return values == {sensitivity.mean}


def _change(value: float | None, mean: float) -> str:
    return NONE if value is None else f"{value - mean:+.3g}"


def _probability(pair: Improvement | None) -> str:
    if pair is None:
        return NONE
    known = f" [{pair.interval.low:.2f}, {pair.interval.high:.2f}]" if pair.interval else ""
    return f"{pair.probability:.2f}{known}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    half = (interval.high - interval.low) / 2
    return f"[{number(interval.low, half)[0]}, {number(interval.high, half)[0]}]"


def statistic_text(
    statistic: SeedStatistic, value: float | Interval | None, spread: float | None
) -> str:
    """Return a statistic over seeds as text: a dash for None.

    Args:
        statistic: The statistic, with its number of digits.
        value: Value of the statistic.
        spread: Standard deviation over seeds, by which values in the metric's unit are rounded.
    """
    if isinstance(value, Interval):
        return _interval(value)
    if value is None:
        return NONE
    return number(value, spread)[0] if statistic.digits is None else f"{value:.{statistic.digits}g}"


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its intervals as two columns each, after the other columns."""
    prefixes = {one.name: one.prefix for one in SEED_STATISTICS if one.prefix}
    plain = {name: value for name, value in record.items() if name not in prefixes}
    for name, prefix in prefixes.items():
        interval = record[name] or {"low": None, "high": None}
        plain |= {f"{prefix}_low": interval["low"], f"{prefix}_high": interval["high"]}
    return plain


FORMATS: Mapping[str, Callable[[Statistics, Sequence[Sensitivity]], str]] = {
    "text": lambda statistics, moves: as_text(grids(statistics, moves)),
    "markdown": lambda statistics, moves: as_markdown(grids(statistics, moves)),
    "csv": as_csv,
    "json": as_json,
}

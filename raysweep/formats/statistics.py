"""Statistics of a sweep as text, Markdown, CSV or JSON."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raysweep.formats.captions import title
from raysweep.formats.parts import number
from raysweep.results.aggregates import SEED_STATISTICS, ArmStatistics, Statistics
from raysweep.results.sensitivity import Sensitivity
from raysweep.results.stats.summary import Interval
from raysweep.text import counted, csv_row, markdown_text, one_line

SCORES = (
    "Over {tasks}: interquartile mean of scores with its 95 % interval (stratified "
    "bootstrap); on each task the worst estimator's mean is 0 and the best one's is 1"
)
IMPROVEMENT = (
    "Probability of improvement: that a run of the row is better than one of the column, averaged "
    "over tasks, with its 95 % interval"
)
SENSITIVITY = (
    "Sensitivity: change of the mean {metric} over the seeds of the search with one setting; "
    "eligible: number of configurations with the value that can be selected, held: all other "
    "settings as selected, free: the best configuration with the value; * selected, with its mean; "
    "–: none eligible, or in the column value: the setting does not apply"
)
Section = tuple[str, list[list[str]]]


def as_text(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return aligned tables, one below the other."""
    parts = []
    for caption, cells in _sections(statistics, moves):
        rows = [[one_line(text) for text in row] for row in cells]
        widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
                ]
            ).rstrip()
            for row in rows
        ]
        parts.append("\n".join([one_line(caption), "", *lines]) + "\n")
    return "\n".join(parts)


def as_markdown(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return pipe tables, one below the other."""
    parts = []
    for caption, (head, *rows) in _sections(statistics, moves):
        lines = [_row(head), "| --- |" + " ---: |" * (len(head) - 1), *map(_row, rows)]
        parts.append("\n".join([markdown_text(caption), "", *lines]) + "\n")
    return "\n".join(parts)


def as_csv(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return a line per arm, unrounded; only JSON has the other statistics."""
    out = io.StringIO()
    records = [_flat(arm.record()) for arm in statistics.arms]
    names = list(records[0]) if records else ["estimator", "task"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(csv_row, records))
    return out.getvalue()


def as_json(statistics: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Return all statistics as one JSON object, unrounded."""
    data = {
        "sweep": statistics.table.sweep,
        "select": statistics.table.select,
        "report": statistics.table.report,
        "arms": [arm.record() for arm in statistics.arms],
        "tasks": list(statistics.tasks),
        "over_tasks": [dataclasses.asdict(scores) for scores in statistics.over_tasks],
        "left_out": list(statistics.left_out),
        "improvements": [dataclasses.asdict(pair) for pair in statistics.improvements],
        "sensitivity": [dataclasses.asdict(sensitivity) for sensitivity in moves],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _sections(statistics: Statistics, moves: Sequence[Sensitivity]) -> list[Section]:
    sections = [_arms(statistics)]
    if statistics.over_tasks or statistics.compared:
        sections.append(_over_tasks(statistics))
    if statistics.improvements:
        sections.append(_improvements(statistics))
    if moves:
        sections.append(_sensitivity(statistics, moves))
    return sections


def _arms(statistics: Statistics) -> Section:
    labels = [statistic.label for statistic in SEED_STATISTICS]
    rows = [["estimator · task", "n", *labels, "configurations", "diverged", "failed", "stopped"]]
    for arm in statistics.arms:
        rows.append(
            [
                f"{arm.estimator} · {arm.task}",
                _seeds(arm),
                *(_statistic(value, arm.std) for value in arm.over_seeds.values()),
                *map(str, (arm.configurations, arm.diverged, arm.failed, arm.stopped)),
            ]
        )
    counted = statistics.table.seeds is None  # otherwise the caption has the number
    caption = title(statistics.table, counted=counted).replace(" (n)", "")
    if any(arm.status == "provisional" for arm in statistics.arms):
        caption += "; ? provisional: not all planned seeds have ended"
    return caption, rows


def _seeds(arm: ArmStatistics) -> str:
    """Return the number of seeds, marked as in the table; without seeds, the cell's status."""
    if not arm.n:
        return arm.status
    return f"{arm.n} ?" if arm.status == "provisional" else str(arm.n)


def _over_tasks(statistics: Statistics) -> Section:
    count, rows = len(statistics.tasks), [["estimator", "IQM", "95 % interval"]]
    for scores in statistics.over_tasks:
        iqm = round(scores.iqm, 3) + 0.0  # turns -0.0 into 0.0
        rows.append([scores.estimator, f"{iqm:.3f}", _interval(scores.interval)])
    rows += [[estimator, "–", ""] for estimator in statistics.left_out]
    tasks = counted(count, "task")
    if count < len(statistics.table.tasks):
        tasks += f" ({', '.join(statistics.tasks)})"
    return SCORES.format(tasks=tasks) + _left_out(statistics), rows


def _left_out(statistics: Statistics) -> str:
    if not statistics.left_out:
        return ""
    return f"; left out, without a final mean on each: {', '.join(statistics.left_out)}"


def _improvements(statistics: Statistics) -> Section:
    known = statistics.matrix
    left_out = statistics.left_out
    labels = [label for label in statistics.table.estimators if label not in left_out]
    rows = [["", *labels]]
    for first in labels:
        row = [first]
        for second in labels:
            pair = known.get((first, second))
            row.append(_probability(pair.probability, pair.interval) if pair else "–")
        rows.append(row)
    return IMPROVEMENT + _left_out(statistics), rows


def _sensitivity(statistics: Statistics, moves: Sequence[Sensitivity]) -> Section:
    rows = [["estimator · task", "setting", "value", "eligible", "held", "free"]]
    for sensitivity in moves:
        # A range has many intervals, in some of which nothing was tried.
        tried = [moved for moved in sensitivity.moves if moved.configurations or moved.here]
        mean = sensitivity.mean
        for index, moved in enumerate(tried):
            rows.append(
                [
                    "" if index else f"{sensitivity.estimator} · {sensitivity.task}",
                    "" if index else sensitivity.setting.partition(".")[2],
                    f"{'* ' if moved.here else ''}{moved.value}",
                    str(moved.configurations),
                    f"{mean:.5g}" if moved.here else _change(moved.held, mean),
                    _change(moved.free, mean),
                ]
            )
    return SENSITIVITY.format(metric=statistics.table.report), rows


def _change(value: float | None, mean: float) -> str:
    return "–" if value is None else f"{value - mean:+.3g}"


def _probability(probability: float, interval: Interval | None) -> str:
    known = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
    return f"{probability:.2f}{known}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    half = (interval.high - interval.low) / 2
    return f"[{number(interval.low, half)[0]}, {number(interval.high, half)[0]}]"


def _statistic(value: float | Interval | None, spread: float | None) -> str:
    if isinstance(value, Interval):
        return _interval(value)
    return "–" if value is None else number(value, spread)[0]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(markdown_text, cells)) + " |"


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its intervals as two columns each, after the other columns."""
    prefixes = {one.name: one.prefix for one in SEED_STATISTICS if one.prefix}
    plain = {name: value for name, value in record.items() if name not in prefixes}
    for name, prefix in prefixes.items():
        interval = record[name] or {"low": None, "high": None}
        plain |= {f"{prefix}_low": interval["low"], f"{prefix}_high": interval["high"]}
    return plain


FORMATS: Mapping[str, Callable[[Statistics, Sequence[Sensitivity]], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}

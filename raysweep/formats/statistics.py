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
from raysweep.text import csv_row, markdown_text, one_line

SCORES = (
    "Over {tasks}: interquartile mean of scores with its 95 % interval (stratified "
    "bootstrap); on each task 0 is the worst estimator's mean, 1 the best one's"
)
IMPROVEMENT = (
    "Probability of improvement: that a run of the row is better than one of the column, averaged "
    "over tasks, with its 95 % interval"
)
SENSITIVITY = (
    "Sensitivity: how the mean {metric} over the seeds of the search changes as one setting moves; "
    "eligible: configurations there that may be selected, held: with all others as selected, free: "
    "the best there; * selected, with its mean, – none eligible, as a value: does not apply"
)
Section = tuple[str, list[list[str]]]


def as_text(found: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Aligned tables, one below the other."""
    parts = []
    for caption, cells in _sections(found, moves):
        rows = [[one_line(each) for each in row] for row in cells]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(each.rjust(width) for each, width in zip(row[1:], widths[1:], strict=True)),
                ]
            ).rstrip()
            for row in rows
        ]
        parts.append("\n".join([one_line(caption), "", *lines]) + "\n")
    return "\n".join(parts)


def as_markdown(found: Statistics, moves: Sequence[Sensitivity]) -> str:
    """Pipe tables, one below the other."""
    parts = []
    for caption, (head, *rows) in _sections(found, moves):
        lines = [_row(head), "| --- |" + " ---: |" * (len(head) - 1), *map(_row, rows)]
        parts.append("\n".join([markdown_text(caption), "", *lines]) + "\n")
    return "\n".join(parts)


def as_csv(found: Statistics, moves: Sequence[Sensitivity]) -> str:
    """A line per arm, unrounded; the rest is in JSON alone."""
    out = io.StringIO()
    records = [_flat(each.record()) for each in found.arms]
    names = list(records[0]) if records else ["estimator", "task"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(csv_row, records))
    return out.getvalue()


def as_json(found: Statistics, moves: Sequence[Sensitivity]) -> str:
    """One object, unrounded."""
    data = {
        "sweep": found.table.sweep,
        "select": found.table.select,
        "report": found.table.report,
        "arms": [each.record() for each in found.arms],
        "tasks": list(found.tasks),
        "over_tasks": [dataclasses.asdict(each) for each in found.over_tasks],
        "left_out": list(found.left_out),
        "improvements": [dataclasses.asdict(each) for each in found.improvements],
        "sensitivity": [dataclasses.asdict(each) for each in moves],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _sections(found: Statistics, moves: Sequence[Sensitivity]) -> list[Section]:
    sections = [_arms(found)]
    if found.over_tasks or found.compared:
        sections.append(_over_tasks(found))
    if found.improvements:
        sections.append(_improvements(found))
    if moves:
        sections.append(_sensitivity(found, moves))
    return sections


def _arms(found: Statistics) -> Section:
    labels = [each.label for each in SEED_STATISTICS]
    rows = [["estimator · task", "n", *labels, "configurations", "diverged", "failed", "stopped"]]
    for each in found.arms:
        rows.append(
            [
                f"{each.estimator} · {each.task}",
                _seeds(each),
                *(_statistic(value, each.std) for value in each.over_seeds.values()),
                *map(str, (each.configurations, each.diverged, each.failed, each.stopped)),
            ]
        )
    counted = found.table.seeds is None  # each row tells its own
    caption = title(found.table, counted=counted).replace(" (n)", "")
    if any(each.status == "provisional" for each in found.arms):
        caption += "; ? provisional: not all planned seeds have ended"
    return caption, rows


def _seeds(arm: ArmStatistics) -> str:
    """How many there are, marked as in the table; what became of the cell where there are none."""
    if not arm.n:
        return arm.status
    return f"{arm.n} ?" if arm.status == "provisional" else str(arm.n)


def _over_tasks(found: Statistics) -> Section:
    count, rows = len(found.tasks), [["estimator", "IQM", "95 % interval"]]
    for each in found.over_tasks:
        score = round(each.iqm, 3) + 0.0  # without the sign of zero
        rows.append([each.estimator, f"{score:.3f}", _interval(each.interval)])
    rows += [[each, "–", ""] for each in found.left_out]
    tasks = f"{count} task{'s' if count != 1 else ''}"
    if count < len(found.table.tasks):
        tasks += f" ({', '.join(found.tasks)})"
    return SCORES.format(tasks=tasks) + _left_out(found), rows


def _left_out(found: Statistics) -> str:
    if not found.left_out:
        return ""
    return f"; left out, without a final mean on each: {', '.join(found.left_out)}"


def _improvements(found: Statistics) -> Section:
    known = found.matrix
    labels = [each for each in found.table.estimators if each not in found.left_out]
    rows = [["", *labels]]
    for first in labels:
        row = [first]
        for second in labels:
            each = known.get((first, second))
            row.append(_chance(each.probability, each.interval) if each else "–")
        rows.append(row)
    return IMPROVEMENT + _left_out(found), rows


def _sensitivity(found: Statistics, moves: Sequence[Sensitivity]) -> Section:
    rows = [["estimator · task", "setting", "value", "eligible", "held", "free"]]
    for each in moves:
        # A range has many intervals, in some of which nothing was tried.
        tried = [moved for moved in each.moves if moved.configurations or moved.here]
        for place, moved in enumerate(tried):
            rows.append(
                [
                    "" if place else f"{each.estimator} · {each.task}",
                    "" if place else each.setting.partition(".")[2],
                    f"{'* ' if moved.here else ''}{moved.value}",
                    str(moved.configurations),
                    f"{each.mean:.5g}" if moved.here else _change(moved.held, each.mean),
                    _change(moved.free, each.mean),
                ]
            )
    return SENSITIVITY.format(metric=found.table.report), rows


def _change(value: float | None, mean: float) -> str:
    return "–" if value is None else f"{value - mean:+.3g}"


def _chance(probability: float, interval: Interval | None) -> str:
    known = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
    return f"{probability:.2f}{known}"


def _interval(found: Interval | None) -> str:
    if found is None:
        return "–"
    half = (found.high - found.low) / 2
    return f"[{number(found.low, half)[0]}, {number(found.high, half)[0]}]"


def _statistic(value: float | Interval | None, spread: float | None) -> str:
    if isinstance(value, Interval):
        return _interval(value)
    return "–" if value is None else number(value, spread)[0]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(markdown_text, cells)) + " |"


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """The record with each interval in two columns, behind the others."""
    prefixes = {each.name: each.prefix for each in SEED_STATISTICS if each.prefix}
    plain = {name: each for name, each in record.items() if name not in prefixes}
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

"""Provenance of a sweep's numbers: versions, commits, devices, hours; needs Arrow alone."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.text import counted

Counts = Mapping[Any, int]

ORIGINS = ("version", "git_commit", "git_dirty", "torch", "python", "device", "host")
TIMES = ("seconds", "started_at", "ended_at")
COLUMNS = ("status", *ORIGINS, *TIMES)
WARNED = ("version", "git_commit", "git_dirty", "torch", "device")  # enough for the warnings
SHOWN = 4  # values of a column that a warning names


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Provenance recorded in the rows of `runs`.

    Every mapping is ordered by falling counts. None means unknown: rows of older versions, and of
    runs that never ran, lack some columns.

    Args:
        runs: Number of rows.
        statuses: Number of rows for each `status`.
        counts: For each column of `ORIGINS`, the number of rows with each value.
        done: Like `counts`, over the `done` runs alone, whose numbers a table shows.
        hours: Hours of worker time over all runs.
        first_start: Start of the first run; None if no row has it.
        last_end: End of the last run; None if no row has it.
    """

    runs: int
    statuses: Counts
    counts: Mapping[str, Counts]
    done: Mapping[str, Counts]
    hours: float
    first_start: datetime | None
    last_end: datetime | None

    @property
    def warnings(self) -> list[str]:
        """A line for each way in which the provenance of the `done` runs differs."""
        lines = [
            f"mixed {names}: {_listed(self.done[column], shown)}; {why}"
            for column, names, shown, why in MIXED
            if len(set(self.done[column]) - {None}) > 1
        ]
        dirty = self.done["git_dirty"].get(True, 0)
        if dirty:
            total = sum(self.done["git_dirty"].values())
            lines.append(
                f"uncommitted changes: {dirty} of {counted(total)} used some, so no commit "
                "identifies their code; commit before running"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return plain data: counts as lists of `value` and `runs`, times as ISO text."""
        return {
            "runs": self.runs,
            "statuses": dict(self.statuses),
            "counts": _plain(self.counts),
            "done": _plain(self.done),
            "hours": self.hours,
            "first_start": _text(self.first_start),
            "last_end": _text(self.last_end),
            "warnings": self.warnings,
        }


def provenance(rows: pa.Table | pads.Dataset) -> Provenance:
    """Return the provenance recorded in rows of `runs`.

    Args:
        rows: Rows with any of `COLUMNS`; files of an older version have fewer. Texts may be
            dictionary-encoded, which is several times faster. For a missing column, counts have
            None alone, and hours are 0.
    """
    present = [name for name in COLUMNS if name in rows.schema.names]
    table = rows.select(present) if isinstance(rows, pa.Table) else rows.to_table(columns=present)
    keys = [name for name in present if name not in TIMES]
    wanted = [("seconds", "sum"), ("started_at", "min"), ("ended_at", "max")]
    aggregates = [(name, function) for name, function in wanted if name in present]
    grouped = table.unify_dictionaries().group_by(keys).aggregate([([], "count_all"), *aggregates])
    groups = grouped.to_pylist()
    done = [group for group in groups if group.get("status") == "done"]
    starts = [time for group in groups if (time := group.get("started_at_min")) is not None]
    ends = [time for group in groups if (time := group.get("ended_at_max")) is not None]
    return Provenance(
        runs=table.num_rows,
        statuses=_counted(groups, "status"),
        counts={column: _counted(groups, column) for column in ORIGINS},
        done={column: _counted(done, column) for column in ORIGINS},
        hours=sum(group.get("seconds_sum") or 0.0 for group in groups) / 3600,
        first_start=min(starts, default=None),
        last_end=max(ends, default=None),
    )


def _counted(groups: list[dict[str, Any]], column: str) -> Counts:
    counts: dict[Any, int] = {}
    for group in groups:
        value = group.get(column)
        counts[value] = counts.get(value, 0) + group["count_all"]
    return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))


def _listed(counts: Counts, shown: Callable[[str], str]) -> str:
    known = [(value, count) for value, count in counts.items() if value is not None]
    texts = [f"{counted(count)} of {shown(value)}" for value, count in known[:SHOWN]]
    if len(known) > SHOWN:
        rest = sum(count for _, count in known[SHOWN:])
        texts.append(f"{counted(rest)} of {len(known) - SHOWN} others")
    if counts.get(None):
        texts.append(f"{counts[None]} of unknown")
    return ", ".join(texts)


def _plain(columns: Mapping[str, Counts]) -> dict[str, list[dict[str, Any]]]:
    return {
        column: [{"value": value, "runs": count} for value, count in counts.items()]
        for column, counts in columns.items()
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _short(commit: str) -> str:
    return commit[:12]


AGAIN = "for comparable numbers, run the sweep in a new store"
MIXED = (
    ("version", "versions of raysweep", str, f"numbers may differ between them; {AGAIN}"),
    (
        "git_commit",
        "commits",
        _short,
        "numbers differ if code or data changed between them: see git diff",
    ),
    ("torch", "versions of torch", str, f"numbers may differ between them; {AGAIN}"),
    (
        "device",
        "devices",
        str,
        "the same run differs between them by rounding, and seconds are not comparable; "
        f"{AGAIN} and on one kind of device",
    ),
)

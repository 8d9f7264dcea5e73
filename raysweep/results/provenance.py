"""Where the numbers of a sweep come from: versions, commits, devices, hours; needs Arrow alone."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

Counts = Mapping[Any, int]

ORIGINS = ("version", "git_commit", "git_dirty", "torch", "python", "device", "host")
TIMES = ("seconds", "started_at", "ended_at")
COLUMNS = ("status", *ORIGINS, *TIMES)
WARNED = ("version", "git_commit", "git_dirty", "torch", "device")  # enough for the warnings
SHOWN = 4  # values of a column that a warning names


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What the rows of `runs` tell of how they came about.

    Every mapping is ordered by falling counts; None stands for what a row does not tell: those of
    an older version, and of runs that never ran, lack some of it.

    Args:
        runs: How many rows there are.
        statuses: Rows by `status`.
        counts: For each column of `ORIGINS`, rows by value.
        done: Likewise, of the runs that ended `done` alone: those whose numbers a table shows.
        hours: Of workers, all runs together.
        first_start: When the first run began; None if no row tells.
        last_end: When the last one ended.
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
        """A line for each way in which the runs that ended `done` differ; none if they do not."""
        found = [
            f"mixed {names}: {_listed(self.done[column], shown)}; {why}"
            for column, names, shown, why in MIXED
            if len(set(self.done[column]) - {None}) > 1
        ]
        dirty = self.done["git_dirty"].get(True, 0)
        if dirty:
            found.append(
                f"uncommitted changes: {_runs(dirty)} of {sum(self.done['git_dirty'].values())} "
                "had some, so that no commit tells their code; commit before a sweep that is to "
                "be repeated"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The same as plain data: counts as lists of `value` and `runs`, times as ISO text."""
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
    """What rows of `runs` tell of how they came about.

    Args:
        rows: With those of `COLUMNS` that there are; files of an older version have fewer. Texts
            may be dictionary-encoded, which is several times faster. What is left out is not
            told: counts have None alone, hours are 0.
    """
    present = [name for name in COLUMNS if name in rows.schema.names]
    table = rows.select(present) if isinstance(rows, pa.Table) else rows.to_table(columns=present)
    keys = [name for name in present if name not in TIMES]
    wanted = [("seconds", "sum"), ("started_at", "min"), ("ended_at", "max")]
    aggregates = [each for each in wanted if each[0] in present]
    grouped = table.unify_dictionaries().group_by(keys).aggregate([([], "count_all"), *aggregates])
    groups = grouped.to_pylist()
    done = [group for group in groups if group.get("status") == "done"]
    starts = [each for group in groups if (each := group.get("started_at_min")) is not None]
    ends = [each for group in groups if (each := group.get("ended_at_max")) is not None]
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
    texts = [f"{_runs(count)} of {shown(value)}" for value, count in known[:SHOWN]]
    if len(known) > SHOWN:
        rest = sum(count for _, count in known[SHOWN:])
        texts.append(f"{_runs(rest)} of {len(known) - SHOWN} others")
    if counts.get(None):
        texts.append(f"{counts[None]} of unknown")
    return ", ".join(texts)


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"


def _plain(columns: Mapping[str, Counts]) -> dict[str, list[dict[str, Any]]]:
    return {
        column: [{"value": value, "runs": count} for value, count in counts.items()]
        for column, counts in columns.items()
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _short(commit: str) -> str:
    return commit[:12]


AGAIN = "for numbers of one kind, run the sweep in a new store"
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
        "the same run differs between them by rounding, and seconds do not compare; "
        f"{AGAIN} and on one kind of device",
    ),
)

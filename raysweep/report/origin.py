"""Section of provenance: versions, commits and devices of the runs, and their times."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from raysweep.formats.grid import NONE, Grid, row
from raysweep.results.edits import warnings
from raysweep.results.provenance import COLUMNS, Provenance, provenance
from raysweep.results.snapshot import Snapshot

NAMES: Mapping[str, str] = {
    "version": "raysweep",
    "git_commit": "commit",
    "git_dirty": "uncommitted changes",
    "torch": "torch",
    "python": "Python",
    "device": "device",
    "host": "class of machine",
}
MAX_VALUES = 12  # of one column


@dataclasses.dataclass(frozen=True)
class Origin:
    """Provenance of a sweep's numbers.

    Args:
        facts: Pairs of name and text.
        made_with: Every version, commit and device with its number of runs; None without runs.
        warnings: Lines on differences between the runs that make them less comparable.
        runs: Number of ended runs.
    """

    facts: tuple[tuple[str, str], ...]
    made_with: Grid | None
    warnings: tuple[str, ...]
    runs: int


def origin_section(results: Snapshot) -> Origin:
    """Return the provenance of a sweep's numbers."""
    origin = provenance(results.store.counted(list(COLUMNS)))
    ended = ", ".join(f"{count:,} {status}" for status, count in origin.statuses.items())
    facts = (
        ("Ended runs", f"{origin.runs:,}" + (f": {ended}" if ended else "")),
        ("First start", _time(origin.first_start)),
        ("Last end", _time(origin.last_end)),
        ("Worker hours", f"{origin.hours:.4g}"),
    )
    lines = (*origin.warnings, *warnings(results.spec, results.store))
    return Origin(facts, _made_with(origin), lines, origin.runs)


def _made_with(origin: Provenance) -> Grid | None:
    rows = []
    for column, name in NAMES.items():
        counts = list(origin.counts[column].items())
        rows += [row([name, _value(value), f"{count:,}"]) for value, count in counts[:MAX_VALUES]]
        if len(counts) > MAX_VALUES:
            rest = sum(count for _, count in counts[MAX_VALUES:])
            rows.append(row([name, f"{len(counts) - MAX_VALUES} others", f"{rest:,}"]))
    if not rows:
        return None
    caption = "Versions, code and devices of the runs"
    return Grid(caption, ("property", "value", "runs"), tuple(rows), numbers=frozenset({2}))


def _value(value: Any) -> str:
    if value is None:
        return "unknown"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _time(time: datetime | None) -> str:
    return NONE if time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC")

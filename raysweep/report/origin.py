"""The report's provenance: what the runs were made with, and when."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from raysweep.report.parts import NONE, Table, row
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
MOST = 12  # values of one column


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the numbers come from.

    Args:
        facts: Names and texts.
        made_with: Each version, commit and device with its number of runs; None without runs.
        warnings: Ways in which the runs differ that should not.
        runs: How many have ended.
    """

    facts: tuple[tuple[str, str], ...]
    made_with: Table | None
    warnings: tuple[str, ...]
    runs: int


def origin_section(results: Snapshot) -> Origin:
    """Where the numbers of a sweep come from."""
    found = provenance(results.store.counted(list(COLUMNS)))
    ended = ", ".join(f"{count:,} {status}" for status, count in found.statuses.items())
    facts = (
        ("Runs that ended", f"{found.runs:,}" + (f": {ended}" if ended else "")),
        ("First start", _time(found.first_start)),
        ("Last end", _time(found.last_end)),
        ("Hours of workers", f"{found.hours:.4g}"),
    )
    told = (*found.warnings, *warnings(results.spec, results.store))
    return Origin(facts, _made_with(found), told, found.runs)


def _made_with(found: Provenance) -> Table | None:
    rows = []
    for column, name in NAMES.items():
        counts = list(found.counts[column].items())
        rows += [row([name, _value(value), f"{count:,}"]) for value, count in counts[:MOST]]
        if len(counts) > MOST:
            rest = sum(count for _, count in counts[MOST:])
            rows.append(row([name, f"{len(counts) - MOST} others", f"{rest:,}"]))
    if not rows:
        return None
    return Table(
        "What the runs were made with", ("", "value", "runs"), tuple(rows), (), frozenset({2})
    )


def _value(value: Any) -> str:
    if value is None:
        return "not told"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _time(time: datetime | None) -> str:
    return NONE if time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC")

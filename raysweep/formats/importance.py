"""Importance of settings as text or JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.formats.grid import Grid, row
from raysweep.formats.text import UNLIMITED, Screen, as_text

TOO_FEW = "? from too few configurations to rely on"
HEAD = ("arm", "setting", "importance", "configurations")


def render(
    sweep: str,
    records: Sequence[Mapping[str, Any]],
    format: str,
    screen: Screen = UNLIMITED,
) -> str:
    """Return the records in the format `text` or `json`."""
    if format == "json":
        return (
            json.dumps({"sweep": sweep, "arms": list(records)}, indent=2, ensure_ascii=False) + "\n"
        )
    caption = f"{sweep}: importance for {records[0]['metric']}, by {records[0]['evaluator']}"
    rows = tuple(
        row([_arm(record), name, _share(value, record), record["configurations"]])
        for record in records
        for name, value in record["importances"].items()
    )
    notes = tuple(note for record in records for note in _notes(record))
    if any(record["too_few"] and record["importances"] for record in records):
        notes = (TOO_FEW, *notes)
    if not rows:
        return "".join(f"{line}\n" for line in (caption, *notes))
    return as_text([Grid(caption, HEAD, rows, notes, numbers=frozenset({2, 3}), keys=2)], screen)


def _share(value: float, record: Mapping[str, Any]) -> str:
    return f"{value:.2f}{' ?' if record['too_few'] else ''}"


def _arm(record: Mapping[str, Any]) -> str:
    return f"{record['estimator']} · {record['task']}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """Return the notes on an arm: why it or a setting has no importance."""
    if record["reason"]:
        return [f"{_arm(record)}: {record['reason']}"]
    return [f"{_arm(record)}: {name} left out, {why}" for name, why in record["left_out"].items()]

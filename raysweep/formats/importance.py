"""Importance of settings as text or JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from raysweep.formats.aligned import arrow_text


def render(sweep: str, records: Sequence[Mapping[str, Any]], format: str) -> str:
    """Return the records in the format `text` or `json`."""
    if format == "json":
        return (
            json.dumps({"sweep": sweep, "arms": list(records)}, indent=2, ensure_ascii=False) + "\n"
        )
    rows = [
        {
            "arm": _arm(record),
            "setting": name,
            "importance": f"{value:.2f}",
            "configurations": record["configurations"],
        }
        for record in records
        for name, value in record["importances"].items()
    ]
    text = "".join(
        f"{sweep}: importance for {record['metric']}, by {record['evaluator']}\n"
        for record in records[:1]
    )
    text += "\n" + arrow_text(pa.Table.from_pylist(rows)) if rows else ""
    return text + "".join(f"{note}\n" for record in records for note in _notes(record))


def _arm(record: Mapping[str, Any]) -> str:
    return f"{record['estimator']} · {record['task']}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    """Return the notes on an arm: why it or a setting has no importance."""
    if record["reason"]:
        return [f"{_arm(record)}: {record['reason']}"]
    return [f"{_arm(record)}: {name} left out, {why}" for name, why in record["left_out"].items()]

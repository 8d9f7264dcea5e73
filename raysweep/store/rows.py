"""Rows of `runs`: what is known of a run when it ends."""

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa

from raysweep.store.schema import encode_settings
from raysweep.sweep.packs import Pack, PlannedRun


def run_row(
    sweep: str, pack: Pack, run: PlannedRun, columns: pa.Schema, outcome: Mapping[str, Any]
) -> dict[str, Any]:
    """One row of `runs`, in plain data that JSON can hold.

    Args:
        sweep: The sweep's name.
        pack: The run's pack.
        run: The run.
        columns: The schema of `runs`.
        outcome: `status`, `steps`, `metrics`, and whatever other columns are known.
    """
    metrics = {
        f"metric.{name}": value if value is not None and math.isfinite(value) else None
        for name, value in outcome.get("metrics", {}).items()
    }
    known = {key: value for key, value in outcome.items() if key != "metrics"}
    return {
        "run_id": run.run_id,
        "sweep": sweep,
        "task": run.task_label,
        "estimator": run.estimator_label,
        "task_name": pack.task,
        "estimator_name": pack.estimator,
        "configuration_id": run.configuration_id,
        "definition": run.definition,
        "code": pack.code,
        "seed": run.seed,
        "attempts": run.failures + 1,
        "pack_id": pack.pack_id,
        "replicas": len(pack.runs),
        **encode_settings(run.settings, columns),
        **metrics,
        **known,
    }


def utc_now() -> str:
    """The time, as rows hold it until they are put down: ISO text, which JSON can hold."""
    return datetime.now(timezone.utc).isoformat()


def timed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its start and its end as times, which JSON holds as text."""
    texts = {name: row.get(name) for name in ("started_at", "ended_at")}
    times = {name: datetime.fromisoformat(text) if text else None for name, text in texts.items()}
    return {**row, **times}

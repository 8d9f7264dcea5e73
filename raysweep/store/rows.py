"""Rows of `runs`, made when a run ends."""

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from raysweep.store.schema import RunRow, encode_settings
from raysweep.sweep.packs import Pack, PlannedRun


def run_row(
    sweep: str,
    pack: Pack,
    run: PlannedRun,
    columns: pa.Schema,
    metrics: Mapping[str, float | None] = MappingProxyType({}),
    **known: Any,
) -> dict[str, Any]:
    """Return one row of `runs`, in plain data that JSON can hold.

    Args:
        sweep: Name of the sweep.
        pack: The run's pack.
        run: The run that ended.
        columns: Schema of `runs`.
        metrics: Final metrics by name; values that are not finite become null.
        known: Further fields of `RunRow`.
    """
    row = RunRow(
        **{
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
            **known,
        }
    )
    return {
        **dataclasses.asdict(row),
        **encode_settings(run.settings, columns),
        **{
            f"metric.{name}": value if value is not None and math.isfinite(value) else None
            for name, value in metrics.items()
        },
    }


def utc_now() -> str:
    """Return the current UTC time as ISO text, which rows hold until they are written."""
    return datetime.now(timezone.utc).isoformat()


def timed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with its start and end as times instead of ISO text."""
    texts = {name: row.get(name) for name in ("started_at", "ended_at")}
    times = {name: datetime.fromisoformat(text) if text else None for name, text in texts.items()}
    return {**row, **times}

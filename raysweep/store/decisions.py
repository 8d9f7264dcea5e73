"""Decisions of early stopping, in order: `decisions/<number>.parquet`, one file for each batch.

The order in which configurations reached a rung determines which of them are stopped. It is stored
only here, so that every decision can be traced.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from datetime import datetime, timezone

import pyarrow as pa

from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.sweep.early_stopping import Decision

DECISIONS = pa.schema(
    [
        ("sitting", pa.int64()),
        ("configuration_id", pa.string()),
        ("step", pa.int64()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("stopped", pa.bool_()),
        ("last", pa.bool_()),
        ("time", pa.timestamp("us", tz="UTC")),
    ]
)


class Decisions:
    """The decisions of a sweep.

    Args:
        files: The sweep's folder.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        names = files.names("decisions", ".parquet")
        numbers = [
            int(match[1]) for match in map(sweep_paths.DECISIONS_NAME.fullmatch, names) if match
        ]
        self._next = max(numbers, default=-1) + 1

    def write(self, decisions: Iterable[Decision], metric: str) -> None:
        """Write one batch of decisions.

        Args:
            decisions: Decisions of the batch, in order.
            metric: Name of the metric that was compared.
        """
        now = datetime.now(timezone.utc)
        rows = [
            {**dataclasses.asdict(decision), "sitting": self._next, "metric": metric, "time": now}
            for decision in decisions
        ]
        table = pa.Table.from_pylist(rows, schema=DECISIONS)
        self.files.write_table(sweep_paths.decisions(self._next), table)
        self._next += 1


def batches(table: pa.Table) -> list[list[Decision]]:
    """Return the rows of `decisions` by batch, in order."""
    names = ["sitting", *(field.name for field in dataclasses.fields(Decision))]
    rows = table.select(names).to_pylist()
    rows.sort(key=lambda row: row["sitting"])  # stable: keeps the order within a batch
    groups = itertools.groupby(rows, key=lambda row: row.pop("sitting"))
    return [[Decision(**row) for row in group] for _, group in groups]

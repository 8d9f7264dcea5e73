"""Which rows of runs hold, where a run that failed has several: readers leave the others out.

An earlier version, or a driver that was killed, left such rows; the next session removes them
(`repair`), but a table may be asked for before.
"""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from raysweep.runs import one_row_each

_COLUMNS = ["run_id", "status", "attempts"]
_RUN_ID = pads.field("run_id").cast(pa.string())  # which may come as codes
_FAILED = pads.field("status") == "failed"


def holding(dataset: pads.Dataset) -> pads.Dataset:
    """The dataset without rows of failed attempts of runs that have a better or later row.

    The statistics of most files tell that nothing failed, so their rows are not looked at.

    Args:
        dataset: Parquet files of `runs`.
    """
    if not set(_COLUMNS) <= set(dataset.schema.names):
        return dataset
    failed = dataset.to_table(columns=["run_id"], filter=_FAILED)["run_id"].unique()
    if not len(failed):
        return dataset
    theirs = _RUN_ID.isin(failed.cast(pa.string()))
    rows: list[Any] = dataset.to_table(columns=_COLUMNS, filter=theirs).to_pylist()
    if len(rows) == len(failed):
        return dataset
    kept = {_key(row) for row in one_row_each(rows)}
    surplus: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in rows:
        if _key(row) not in kept:
            surplus[row["status"], row["attempts"] or 0].add(row["run_id"])
    for (status, attempts), run_ids in surplus.items():
        which = _RUN_ID.isin(pa.array(sorted(run_ids), pa.string()))
        which &= pads.field("status") == status
        which &= pc.coalesce(pads.field("attempts"), pa.scalar(0, pa.int64())) == attempts
        dataset = dataset.filter(~which)
    return dataset


def _key(row: Any) -> tuple[str, str, int]:
    return row["run_id"], row["status"], row["attempts"] or 0

"""The row of a run that holds, where a run has several: readers leave the others out.

An earlier version, a driver that was killed, or a file that came back, left such rows; the next
session removes them (`repair`), but a table may be asked for before.
"""

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.sweep.outcomes import one_row_each

_COLUMNS = ["run_id", "status", "attempts"]


def holding(dataset: pads.Dataset) -> pads.Dataset:
    """The dataset with one row for each run; in memory, in the rare case that some have several.

    Args:
        dataset: Parquet files of `runs`.
    """
    ids = dataset.to_table(columns=["run_id"])["run_id"].cast(pa.string())
    if len(ids.unique()) == len(ids):  # twice as fast as `count_distinct`
        return dataset
    table = dataset.to_table()
    rows = table.select(_COLUMNS).to_pylist()
    kept = {id(row) for row in one_row_each(rows)}
    places = [place for place, row in enumerate(rows) if id(row) in kept]
    return pads.dataset(table.take(pa.array(places, pa.int64())))

"""Selection of one row for each run; readers ignore the others.

A run may have several rows because of an earlier version, a killed driver, or a file that was
restored. The next session removes the surplus (`repair`), but readers may come before it.
"""

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.sweep.outcomes import one_row_each

_COLUMNS = ["run_id", "status", "attempts"]


def one_row_per_run(dataset: pads.Dataset) -> pads.Dataset:
    """Return the dataset with one row for each run; if a run has several, as a copy in memory.

    Args:
        dataset: Parquet files of `runs`.
    """
    ids = dataset.to_table(columns=["run_id"])["run_id"].cast(pa.string())
    if len(ids.unique()) == len(ids):  # twice as fast as `count_distinct`
        return dataset
    table = dataset.to_table()
    rows = table.select(_COLUMNS).to_pylist()
    kept = {id(row) for row in one_row_each(rows)}
    indices = [index for index, row in enumerate(rows) if id(row) in kept]
    return pads.dataset(table.take(pa.array(indices, pa.int64())))

"""Columns that are the same in every row, known from the files' statistics: none has to be read."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as pads

MOST_FILES = 64  # with more of them, looking costs more than reading


def constants(dataset: pads.Dataset, names: Iterable[str]) -> dict[str, pa.Scalar]:
    """The columns of settings that hold one value in all rows, with it.

    Statistics leave out what is not a number, which no setting is.

    Args:
        dataset: Parquet files of `runs`.
        names: Columns to look at; those of settings count.
    """
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # some rows are left out, which statistics do not know: rare, and slower
        return {}
    wanted = [name for name in names if name.startswith("param.")]
    if not isinstance(dataset, pads.FileSystemDataset) or len(fragments) > MOST_FILES:
        return {}
    found: dict[str, pa.Scalar] = {}
    metadata = [fragment.metadata for fragment in fragments]
    for name in wanted:
        kind = dataset.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        values = set()
        for each in metadata:
            values |= _values(each, name)
        if len(values) == 1 and (value := values.pop()) is not Ellipsis:
            found[name] = pa.scalar(value, kind)
    return found


def _values(metadata: "pa.parquet.FileMetaData", name: str) -> set[object]:
    """The values of a file's column as far as one per group of rows; `...` for several."""
    if name not in metadata.schema.names:
        return {None}  # not yet brought under the sweep's schema: read as nulls
    place = metadata.schema.names.index(name)
    found: set[object] = set()
    for number in range(metadata.num_row_groups):
        column = metadata.row_group(number).column(place)
        known = column.statistics
        if known is None or not known.has_null_count:
            found.add(...)
        elif known.null_count == column.num_values:
            found.add(None)
        elif known.null_count or not known.has_min_max or known.min != known.max:
            found.add(...)
        else:
            found.add(known.max)  # of zeros, the positive one
    return found

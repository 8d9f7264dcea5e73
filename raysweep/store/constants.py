"""Constant columns, found from Parquet statistics without reading the data."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as pads

MOST_FILES = 64  # beyond which the statistics take longer to collect than the data to read


def constants(dataset: pads.Dataset, names: Iterable[str]) -> dict[str, pa.Scalar]:
    """Return the value of each column of settings that is the same in all rows.

    Statistics ignore NaN, which no setting is.

    Args:
        dataset: Parquet files of `runs`.
        names: Names of columns; those that are not settings are ignored.
    """
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # a filtered dataset, whose statistics would include other rows: rare
        return {}
    wanted = [name for name in names if name.startswith("param.")]
    if not isinstance(dataset, pads.FileSystemDataset) or len(fragments) > MOST_FILES:
        return {}
    constant: dict[str, pa.Scalar] = {}
    metadata = [fragment.metadata for fragment in fragments]
    for name in wanted:
        kind = dataset.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        values = set()
        for file in metadata:
            values |= _values(file, name)
        if len(values) == 1 and (value := values.pop()) is not Ellipsis:
            constant[name] = pa.scalar(value, kind)
    return constant


def _values(metadata: "pa.parquet.FileMetaData", name: str) -> set[object]:
    """Return the value of each group of rows in a file's column, `...` where it has several."""
    if name not in metadata.schema.names:
        return {None}  # a file that lacks the column reads as nulls
    index = metadata.schema.names.index(name)
    values: set[object] = set()
    for number in range(metadata.num_row_groups):
        column = metadata.row_group(number).column(index)
        statistics = column.statistics
        if statistics is None or not statistics.has_null_count:
            values.add(...)
        elif statistics.null_count == column.num_values:
            values.add(None)
        elif (
            statistics.null_count or not statistics.has_min_max or statistics.min != statistics.max
        ):
            values.add(...)
        else:
            values.add(statistics.max)  # the positive zero, where the minimum is the negative one
    return values

"""A table of the store as one CSV file."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from raysweep.results.output_file import check_new, written_whole
from raysweep.text import FORMULA, NUMBER


def csv_table(table: pa.Table) -> pa.Table:
    """Return the table with its texts escaped so that no spreadsheet reads them as formulas."""
    for index, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column = table.column(index).cast(kind)
            risky = pc.and_(
                pc.match_substring_regex(column, FORMULA),
                pc.invert(pc.match_substring_regex(column, NUMBER)),
            )
            safe = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
            table = table.set_column(index, field.with_type(kind), safe)
    return table


def write_csv(schema: pa.Schema, parts: Iterable[pa.Table], path: Path) -> int:
    """Write rows into a new file, part by part, and return their number.

    Args:
        schema: Schema of the rows.
        parts: Parts of the rows.
        path: The new file.

    Raises:
        SpecError: If the file exists or cannot be written.
    """
    check_new(path)
    rows = 0
    with (
        written_whole(path, pa.ArrowInvalid) as aside,
        pacsv.CSVWriter(aside, schema) as out,
    ):
        for part in parts:
            out.write_table(csv_table(part))
            rows += part.num_rows
    return rows

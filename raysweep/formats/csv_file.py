"""A table of the store as one CSV file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as pads

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


def write_csv(dataset: pads.Dataset, path: Path) -> int:
    """Write the rows into a new file, in batches, and return their number.

    Raises:
        SpecError: If the file exists or cannot be written.
    """
    check_new(path)
    rows = 0
    with (
        written_whole(path, pa.ArrowInvalid) as aside,
        pacsv.CSVWriter(aside, dataset.schema) as out,
    ):
        for batch in dataset.to_batches():
            out.write_table(csv_table(pa.Table.from_batches([batch])))
            rows += batch.num_rows
    return rows

"""A table of the store as one CSV file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as pads

from raysweep.errors import SpecError
from raysweep.text import FORMULA, NUMBER


def csv_table(table: pa.Table) -> pa.Table:
    """The table with texts that no spreadsheet takes for formulas; numbers stay what they are."""
    for place, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            column = table.column(place).cast(kind)
            risky = pc.and_(
                pc.match_substring_regex(column, FORMULA),
                pc.invert(pc.match_substring_regex(column, NUMBER)),
            )
            safe = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
            table = table.set_column(place, field.with_type(kind), safe)
    return table


def write_csv(dataset: pads.Dataset, path: Path) -> int:
    """Writes the rows, some at a time, into a new file; how many.

    Raises:
        SpecError: If the file is there, or cannot be written.
    """
    if path.exists():
        raise SpecError(f"expected a new file, got {str(path)!r}, which is there", field="path")
    if not path.parent.is_dir():
        raise SpecError(
            f"expected a file in a folder that exists, got {str(path)!r}; "
            f"make {str(path.parent)!r} first",
            field="path",
        )
    rows = 0
    aside = path.with_name(f".{path.name}.part")
    try:
        with pacsv.CSVWriter(aside, dataset.schema) as out:
            for batch in dataset.to_batches():
                out.write_table(csv_table(pa.Table.from_batches([batch])))
                rows += batch.num_rows
        aside.rename(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise SpecError(
            f"expected a file that can be written, got {str(path)!r}: {reason}", field="path"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return rows

"""Reading of many Parquet files of a sweep together; errors name the file that caused them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import StoreError
from raysweep.store.damage import reason_of

if TYPE_CHECKING:
    from raysweep.store.files import Files


def columns(files: "Files", names: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    """Read some text columns of many files, and no others.

    Raises:
        DamagedFile: If a file is not what was written.
        StoreError: If a file cannot be read.
    """
    schema = pa.schema([(column, pa.string()) for column in wanted])
    if not names:
        return schema.empty_table()
    dataset = pads.dataset(
        [files.path(name) for name in names],
        schema=schema,
        format=pads.ParquetFileFormat(default_fragment_scan_options=scan_options(files)),
        filesystem=files.filesystem,
    )
    try:
        return dataset.to_table()
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise cause(files, names, error) from error


def scan_options(files: "Files") -> pads.ParquetFragmentScanOptions:
    """Return the options for reading a dataset's files, with checks of their pages' checksums.

    Reading ahead hides a bucket's latency; from a local disk it costs memory and time.
    """
    return pads.ParquetFragmentScanOptions(
        pre_buffer=not files.is_local, page_checksum_verification=True
    )


def cause(files: "Files", names: Sequence[str], error: BaseException) -> StoreError:
    """Return the error of the file because of which several could not be read together.

    Args:
        files: The sweep's folder.
        names: Names of the files.
        error: Error of reading the files together.
    """
    text = str(error)
    for name in sorted(names, key=lambda name: name not in text):  # files named in the error first
        try:
            files.check_shape(name, files.read_table(name).schema)
        except FileNotFoundError:
            return StoreError(
                f"cannot read the results in {files.uri}: a file was removed while reading, as a "
                "merge of rows does; run the same command again"
            )
        except StoreError as file_error:
            return file_error
    return StoreError(
        f"cannot read the results in {files.uri}: {reason_of(error)}; make the store usable and "
        "run the same command again"
    )

"""Reads many Parquet files of a sweep together, and finds the one that is at fault."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import StoreError
from raysweep.store.damage import reason_of

if TYPE_CHECKING:
    from raysweep.store.files import Files


def columns(files: "Files", names: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    """Some columns of text of many files, of which no other column is read.

    Raises:
        DamagedFile: If one of them is not what was written.
        StoreError: If one of them cannot be read.
    """
    schema = pa.schema([(name, pa.string()) for name in wanted])
    if not names:
        return schema.empty_table()
    dataset = pads.dataset(
        [files.path(each) for each in names],
        schema=schema,
        format=pads.ParquetFileFormat(default_fragment_scan_options=scan_options(files)),
        filesystem=files.filesystem,
    )
    try:
        return dataset.to_table()
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise at_fault(files, names, error) from error


def scan_options(files: "Files") -> pads.ParquetFragmentScanOptions:
    """How files of a dataset are read: with the checksums of their pages.

    Reading ahead hides a bucket's latency; of a local disk it costs memory and time.
    """
    return pads.ParquetFragmentScanOptions(
        pre_buffer=not files.is_local, page_checksum_verification=True
    )


def at_fault(files: "Files", names: Sequence[str], error: BaseException) -> StoreError:
    """The error of the file because of which several could not be read together.

    Args:
        files: The sweep's folder.
        names: Names of the files.
        error: What reading them together ended with.
    """
    text = str(error)
    for name in sorted(names, key=lambda each: each not in text):  # a file that is named, first
        try:
            files.check_shape(name, files.read_table(name).schema)
        except FileNotFoundError:
            return StoreError(
                f"cannot read the results in {files.uri}: a file went away meanwhile, as files do "
                "that are merged; give the same command again"
            )
        except StoreError as found:
            return found
    return StoreError(
        f"cannot read the results in {files.uri}: {reason_of(error)}; make the store usable and "
        "run the same command again"
    )

"""Parquet files that know their own content: checksums of pages, and a digest of the whole file.

The digest is in the file itself, so that a file stays one file that any tool reads: an entry of the
footer, computed over the file with the entry's value as zeros. Checksums alone would leave the
footer out, which says where columns are and what they are called.
"""

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    pass

FOLDERS = ("runs", "curves", "attempts", "decisions", "removing")  # of a sweep, with Parquet files
KEY = b"raysweep.sha256"
_ZEROS = b"0" * 64
_MARK = KEY + b"\x18\x40"  # then comes a text of 64 bytes, as Thrift's compact protocol writes it


class WrongDigest(ValueError):
    """A file's content is not what its digest was computed of."""


def to_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file with its digest."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", write_page_checksum=True
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: _ZEROS})
    data = bytearray(sink.getvalue())
    start = data.rindex(_MARK) + len(_MARK)
    data[start : start + len(_ZEROS)] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def has_digest(data: bytes) -> bool:
    """Whether the content is the digest's; False where there is none, as in older files.

    Raises:
        WrongDigest: If it is another.
    """
    mark = data.rfind(_MARK)
    if mark < 0:
        return False
    start = mark + len(_MARK)
    view, end = memoryview(data), start + len(_ZEROS)
    computed = hashlib.sha256(view[:start])
    computed.update(_ZEROS)
    computed.update(view[end:])
    if computed.hexdigest().encode() != bytes(view[start:end]):
        raise WrongDigest("content whose digest is another")
    return True


def is_whole(data: bytes) -> bool:
    """Whether the content has a digest, which is its own: whatever fails then, it is no damage."""
    try:
        return has_digest(data)
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything
        return False


def table_of(data: bytes) -> pa.Table:
    """The table in a file's content, its digest checked.

    Raises:
        Exception: Whatever pyarrow makes of content that is no Parquet file.
    """
    has_digest(data)
    table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    return table.replace_schema_metadata(plain(table.schema).metadata)


def checked(data: bytes) -> pa.Schema:
    """The schema in a file's content, after all of it was checked: by its digest, or by reading it.

    Raises:
        Exception: Whatever pyarrow makes of content that is no Parquet file.
    """
    if not has_digest(data):
        pq.read_table(pa.BufferReader(data), use_threads=False, page_checksum_verification=True)
    return plain(pq.read_schema(pa.BufferReader(data)))


def schema_of(data: bytes) -> pa.Schema:
    """The schema in a file's content, its digest checked.

    Raises:
        Exception: Whatever pyarrow makes of content that is no Parquet file.
    """
    has_digest(data)
    return plain(pq.read_schema(pa.BufferReader(data)))


def plain(schema: pa.Schema) -> pa.Schema:
    """The schema without the digest: files of one sweep have the same."""
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != KEY}
    return schema.with_metadata(metadata or None)

"""Parquet files with checksums of pages and a digest of the whole file.

The digest is an entry in the footer, computed over the file with zeros as the entry's value. So it
needs no second file, and any tool can read the Parquet file. Checksums of pages alone would not
protect the footer, which holds the positions and names of columns.
"""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

FOLDERS = ("runs", "curves", "attempts", "decisions", "removing")  # of a sweep, with Parquet files
KEY = b"raysweep.sha256"
_ZEROS = b"0" * 64
_MARK = KEY + b"\x18\x40"  # start of a string of 64 bytes in Thrift's compact protocol


class WrongDigest(ValueError):
    """Digest that does not match the file's content."""


def to_bytes(table: pa.Table) -> bytes:
    """Return the table as a Parquet file with its digest."""
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
    """Check the digest, and return whether there is one; older files have none.

    Raises:
        WrongDigest: If the digest does not match the content.
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
        raise WrongDigest("content that does not match its digest")
    return True


def is_whole(data: bytes) -> bool:
    """Return whether the content has a digest and matches it, so that it is not damaged."""
    try:
        return has_digest(data)
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything
        return False


def table_of(data: bytes) -> pa.Table:
    """Return the table in a file's content, after checking its digest.

    Raises:
        Exception: Any that pyarrow raises for content that is not a Parquet file.
    """
    has_digest(data)
    table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    return table.replace_schema_metadata(plain(table.schema).metadata)


def checked(data: bytes) -> pa.Schema:
    """Check all of a file's content by its digest or by reading it, and return its schema.

    Raises:
        Exception: Any that pyarrow raises for content that is not a Parquet file.
    """
    if not has_digest(data):
        pq.read_table(pa.BufferReader(data), use_threads=False, page_checksum_verification=True)
    return plain(pq.read_schema(pa.BufferReader(data)))


def schema_of(data: bytes) -> pa.Schema:
    """Return the schema in a file's content, after checking its digest.

    Raises:
        Exception: Any that pyarrow raises for content that is not a Parquet file.
    """
    has_digest(data)
    return plain(pq.read_schema(pa.BufferReader(data)))


def plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema without the digest, which is the same for all files of a sweep."""
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != KEY}
    return schema.with_metadata(metadata or None)

"""Columns that a Parquet file in a folder of a sweep may have; others are damage.

A file with other columns may be complete, but raysweep did not write it; merging its schema with
that of the sweep would rewrite good rows.
"""

from collections.abc import Collection

import pyarrow as pa

from raysweep.store import schema

STATUSES = frozenset({"done", "diverged", "stopped", "failed"})
_IDENTITY = dict(schema.IDENTITY)
_NUMBER = pa.float64()
_FIXED = {
    "runs": _IDENTITY,
    "curves": {"run_id": pa.string(), "step": pa.int64(), "seconds": _NUMBER},
    "attempts": {field.name: field.type for field in schema.ATTEMPTS},
}
_NEEDED: dict[str, Collection[str]] = {
    "runs": ("run_id", "task", "estimator", "configuration_id", "seed", "status", "steps"),
    "curves": ("run_id", "step"),
    "attempts": ("run_id", "attempt", "error"),
}
_SETTINGS = {pa.float64(), pa.int64(), pa.bool_(), pa.string()}


def problem(name: str, columns: pa.Schema) -> str | None:
    """Return the problem with a file's columns, or None.

    Args:
        name: Name of the file below the sweep's folder.
        columns: Schema of the file.
    """
    folder = name.partition("/")[0]
    if folder not in _FIXED:
        return None
    lacking = [column for column in _NEEDED[folder] if column not in columns.names]
    if lacking:
        return f"no column {lacking[0]!r}"
    if len(set(columns.names)) < len(columns.names):
        return "two columns of one name"
    for field in columns:
        if not _fits(folder, field):
            return f"a column {field.name!r} of type {field.type}"
    return None


def _fits(folder: str, field: pa.Field) -> bool:
    known = _FIXED[folder].get(field.name)
    if known is not None:
        return field.type == known
    if field.name.startswith("param."):
        return field.type in _SETTINGS
    if folder == "curves" or field.name.startswith("metric."):
        return field.type == _NUMBER
    return True  # a later version may add columns

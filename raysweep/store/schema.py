"""The columns of a sweep's Parquet files: one schema per sweep, known from its spec."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from raysweep.sweep.spec import Spec

_TYPES = {
    "double": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "json": pa.string(),
}
_TIME = pa.timestamp("us", tz="UTC")

IDENTITY = (
    ("run_id", pa.string()),
    ("sweep", pa.string()),
    ("task", pa.string()),
    ("estimator", pa.string()),
    ("task_name", pa.string()),
    ("estimator_name", pa.string()),
    ("configuration_id", pa.string()),
    ("seed", pa.int64()),
    ("status", pa.string()),
    ("steps", pa.int64()),
    ("steps_executed", pa.int64()),
    ("attempts", pa.int32()),
    ("seconds", pa.float64()),
    ("pack_id", pa.string()),
    ("replicas", pa.int32()),
    ("device", pa.string()),
    ("started_at", _TIME),
    ("version", pa.string()),
    ("git_commit", pa.string()),
    ("error", pa.string()),
    ("definition", pa.string()),
    ("git_dirty", pa.bool_()),
    ("torch", pa.string()),
    ("python", pa.string()),
    ("host", pa.string()),
    ("ended_at", _TIME),
    ("code", pa.string()),
)
ATTEMPTS = pa.schema(
    [
        ("run_id", pa.string()),
        ("attempt", pa.int32()),
        ("error", pa.string()),
        ("time", _TIME),
    ]
)
META = b"raysweep"
JSON_COLUMN = {b"raysweep": b"json"}


def runs_schema(spec: Spec) -> pa.Schema:
    """The schema of `runs`: identity, then settings, then final metrics."""
    settings = [
        pa.field(f"param.{key}", _TYPES[kind], metadata=JSON_COLUMN if kind == "json" else None)
        for key, kind in spec.types.items()
    ]
    metrics = [pa.field(f"metric.{name}", pa.float64()) for name in sorted(spec.metrics)]
    fields = [pa.field(name, kind) for name, kind in IDENTITY]
    return pa.schema([*fields, *settings, *metrics], metadata=_metadata(spec.metrics))


def curves_schema(spec: Spec) -> pa.Schema:
    """The schema of `curves`: run, step, seconds, then one column per metric."""
    metrics = [pa.field(name, pa.float64()) for name in sorted(spec.metrics)]
    fields = [
        pa.field("run_id", pa.string()),
        pa.field("step", pa.int64()),
        pa.field("seconds", pa.float64()),
    ]
    return pa.schema([*fields, *metrics], metadata=_metadata(spec.metrics))


def merge(wanted: pa.Schema, present: pa.Schema) -> pa.Schema:
    """The schema of a sweep that grew: what the spec wants, and what is there besides.

    A setting whose declared type changed becomes JSON text; no column is ever dropped.
    """
    fields: dict[str, pa.Field] = {}
    for field in [*wanted, *present]:
        other = fields.setdefault(field.name, field)
        if other.type != field.type:
            fields[field.name] = pa.field(field.name, pa.string(), metadata=JSON_COLUMN)
    extra = sorted(name for name in fields if name not in wanted.names)
    settings = [name for name in fields if name.startswith("param.")]
    if settings:
        # A store that a later version wrote may tell more of its runs: that stays.
        fixed = [name for name in fields if not name.startswith(("param.", "metric."))]
        metrics = sorted(name for name in fields if name.startswith("metric."))
        names = [*fixed, *sorted(settings), *metrics]
    else:
        names = [*wanted.names, *extra]
    meanings = {**metric_meanings(present), **metric_meanings(wanted)}
    return pa.schema([fields[name] for name in names], metadata=_metadata(meanings))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table under a sweep's merged schema: nulls where it lacks a column."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        was_json = is_json(table.schema.field(field.name))
        if is_json(field) and not was_json:
            column = pa.array(
                [None if value is None else json.dumps(value) for value in column.to_pylist()],
                pa.string(),
            )
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=schema)


def is_json(field: pa.Field) -> bool:
    """Whether the column holds JSON text."""
    return bool(field.metadata) and field.metadata.get(b"raysweep") == b"json"


def texts(schema: pa.Schema) -> list[str]:
    """The columns of text that repeats."""
    return [
        field.name for field in schema if pa.types.is_string(field.type) and field.name != "run_id"
    ]


def encoded(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """The schema with these columns of text as codes into a dictionary."""
    for name in names:
        place = schema.get_field_index(name)
        kind = pa.dictionary(pa.int32(), pa.string())
        schema = schema.set(place, schema.field(place).with_type(kind))
    return schema


def encode_settings(settings: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Settings as the values of their `param.` columns."""
    row = {}
    for key, value in settings.items():
        field = schema.field(f"param.{key}")
        plain = list(value) if isinstance(value, tuple) else value
        row[field.name] = json.dumps(plain) if is_json(field) and value is not None else plain
    return row


def decode_json(text: str | None) -> Any:
    """The value that a cell of a JSON column holds."""
    return None if text is None else json.loads(text)


def decode_settings(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """The settings that a row's `param.` columns hold; those without a value are None."""
    settings = {}
    for field in schema:
        if field.name.startswith("param."):
            value = row[field.name]
            decoded = decode_json(value) if is_json(field) else value
            settings[field.name.removeprefix("param.")] = decoded
    return settings


def metric_meanings(schema: pa.Schema) -> dict[str, dict[str, str]]:
    """Direction, unit and meaning of each metric, as the file itself tells them."""
    return json.loads((schema.metadata or {}).get(META, b"{}")).get("metrics", {})


def rows_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of the schema; an unknown key is an error, a missing one is null."""
    listed = list(rows)
    unknown = {key for row in listed for key in row} - set(schema.names)
    if unknown:
        raise KeyError(f"expected columns of the schema, got {sorted(unknown)}")
    return pa.Table.from_pylist(listed, schema=schema)


def _metadata(metrics: Mapping[str, Any]) -> dict[bytes, bytes]:
    meaning = {name: dict(metrics[name]) for name in sorted(metrics)}
    return {META: json.dumps({"format": 1, "metrics": meaning}).encode()}

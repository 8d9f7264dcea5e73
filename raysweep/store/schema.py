"""Schemas of a sweep's Parquet files, which follow from its spec."""

import dataclasses
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


def _column(kind: pa.DataType, default: Any = None) -> Any:
    """Return a field for a column of `runs`, with null as its default."""
    return dataclasses.field(default=default, metadata={"type": kind})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRow:
    """A row of `runs` without its settings and metrics, in plain data that JSON can hold.

    Each field is a column of `runs`; the code that makes rows sets its value.

    Args:
        run_id: Identity of the run.
        sweep: Name of the sweep.
        task: Label of the task.
        estimator: Label of the estimator.
        task_name: Registry name of the task.
        estimator_name: Registry name of the estimator.
        configuration_id: Identity of the configuration.
        seed: Seed of the run.
        status: `done`, `diverged`, `stopped` or `failed`.
        steps: Steps that were trained.
        steps_executed: Steps that all attempts executed, repeated ones included.
        attempts: Number of attempts.
        seconds: The run's share of the time that its pack trained.
        pack_id: Identity of the pack.
        replicas: Number of runs in the pack.
        device: `cpu`, or `cuda` with the model.
        started_at: Time at which training began, as ISO text.
        version: Version of raysweep.
        git_commit: Commit of the folder that the command ran in.
        error: Error of a run that failed.
        definition: Identity of the versions and defaults of task and estimator.
        git_dirty: Whether tracked files differed from the commit.
        torch: Version of torch.
        python: Version of Python.
        host: Class of the machine.
        ended_at: Time at which the run ended, as ISO text.
        code: Digests of the source of task and estimator.
    """

    run_id: str = _column(pa.string())
    sweep: str = _column(pa.string())
    task: str = _column(pa.string())
    estimator: str = _column(pa.string())
    task_name: str = _column(pa.string())
    estimator_name: str = _column(pa.string())
    configuration_id: str = _column(pa.string())
    seed: int = _column(pa.int64())
    status: str | None = _column(pa.string())
    steps: int | None = _column(pa.int64())
    steps_executed: int | None = _column(pa.int64())
    attempts: int | None = _column(pa.int32())
    seconds: float | None = _column(pa.float64())
    pack_id: str = _column(pa.string())
    replicas: int = _column(pa.int32())
    device: str | None = _column(pa.string())
    started_at: str | None = _column(_TIME)
    version: str | None = _column(pa.string())
    git_commit: str | None = _column(pa.string())
    error: str | None = _column(pa.string())
    definition: str | None = _column(pa.string())
    git_dirty: bool | None = _column(pa.bool_())
    torch: str | None = _column(pa.string())
    python: str | None = _column(pa.string())
    host: str | None = _column(pa.string())
    ended_at: str | None = _column(_TIME)
    code: str | None = _column(pa.string())


IDENTITY = tuple((field.name, field.metadata["type"]) for field in dataclasses.fields(RunRow))
ATTEMPTS = pa.schema(
    [
        ("run_id", pa.string()),
        ("attempt", pa.int32()),
        ("error", pa.string()),
        ("time", _TIME),
        ("traceback", pa.string()),
        ("pack_id", pa.string()),
    ]
)
META = b"raysweep"
JSON_COLUMN = {b"raysweep": b"json"}


def runs_schema(spec: Spec) -> pa.Schema:
    """Return the schema of `runs`: identity, then settings, then final metrics."""
    settings = [
        pa.field(f"param.{key}", _TYPES[kind], metadata=JSON_COLUMN if kind == "json" else None)
        for key, kind in spec.types.items()
    ]
    metrics = [pa.field(f"metric.{name}", pa.float64()) for name in sorted(spec.metrics)]
    fields = [pa.field(name, kind) for name, kind in IDENTITY]
    return pa.schema([*fields, *settings, *metrics], metadata=_metadata(spec.metrics))


def curves_schema(spec: Spec) -> pa.Schema:
    """Return the schema of `curves`: run, step, seconds, then one column per metric."""
    metrics = [pa.field(name, pa.float64()) for name in sorted(spec.metrics)]
    fields = [
        pa.field("run_id", pa.string()),
        pa.field("step", pa.int64()),
        pa.field("seconds", pa.float64()),
    ]
    return pa.schema([*fields, *metrics], metadata=_metadata(spec.metrics))


def merge(wanted: pa.Schema, present: pa.Schema) -> pa.Schema:
    """Return the schema that has all columns of the spec and of the present files.

    A setting whose declared type changed becomes JSON text; no column is ever dropped.

    Args:
        wanted: Schema of the spec.
        present: Schema of the present files.
    """
    fields: dict[str, pa.Field] = {}
    for field in [*wanted, *present]:
        other = fields.setdefault(field.name, field)
        if other.type != field.type:
            fields[field.name] = pa.field(field.name, pa.string(), metadata=JSON_COLUMN)
    extra = sorted(name for name in fields if name not in wanted.names)
    settings = [name for name in fields if name.startswith("param.")]
    if settings:
        # A later version may have written more columns about its runs, which are kept.
        fixed = [name for name in fields if not name.startswith(("param.", "metric."))]
        metrics = sorted(name for name in fields if name.startswith("metric."))
        names = [*fixed, *sorted(settings), *metrics]
    else:
        names = [*wanted.names, *extra]
    meanings = {**metric_meanings(present), **metric_meanings(wanted)}
    return pa.schema([fields[name] for name in names], metadata=_metadata(meanings))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table in a sweep's merged schema, with nulls for columns that it lacks."""
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
    """Return whether the column holds JSON text."""
    return bool(field.metadata) and field.metadata.get(b"raysweep") == b"json"


def texts(schema: pa.Schema) -> list[str]:
    """Return the names of columns with repeating text."""
    return [
        field.name for field in schema if pa.types.is_string(field.type) and field.name != "run_id"
    ]


def encoded(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return the schema with these text columns dictionary-encoded."""
    for name in names:
        index = schema.get_field_index(name)
        kind = pa.dictionary(pa.int32(), pa.string())
        schema = schema.set(index, schema.field(index).with_type(kind))
    return schema


def encode_settings(settings: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Return settings as the values of their `param.` columns."""
    row = {}
    for key, value in settings.items():
        field = schema.field(f"param.{key}")
        plain = list(value) if isinstance(value, tuple) else value
        row[field.name] = json.dumps(plain) if is_json(field) and value is not None else plain
    return row


def decode_json(text: str | None) -> Any:
    """Return the value that a cell of a JSON column holds."""
    return None if text is None else json.loads(text)


def decode_settings(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Return the settings that a row's `param.` columns hold; those without a value are None."""
    settings = {}
    for field in schema:
        if field.name.startswith("param."):
            value = row[field.name]
            decoded = decode_json(value) if is_json(field) else value
            settings[field.name.removeprefix("param.")] = decoded
    return settings


def metric_meanings(schema: pa.Schema) -> dict[str, dict[str, str]]:
    """Return direction, unit and meaning of each metric, from the schema's metadata."""
    return json.loads((schema.metadata or {}).get(META, b"{}")).get("metrics", {})


def rows_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table of the schema; an unknown key is an error, a missing one is null."""
    listed = list(rows)
    unknown = {key for row in listed for key in row} - set(schema.names)
    if unknown:
        raise KeyError(f"expected rows with columns of the schema, got {sorted(unknown)}")
    return pa.Table.from_pylist(listed, schema=schema)


def _metadata(metrics: Mapping[str, Any]) -> dict[bytes, bytes]:
    meaning = {name: dict(metrics[name]) for name in sorted(metrics)}
    return {META: json.dumps({"format": 1, "metrics": meaning}).encode()}

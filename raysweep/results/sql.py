"""DuckDB over a sweep's files."""

import re
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import SpecError

GROUPS = ("param", "metric")
_SCAN = re.compile(r"stream registered as|arrow_scan|get_next failed")  # of DuckDB's versions


class ScanFailed(OSError):
    """The query is right, but a file of its tables cannot be read."""


def ask(query: str, tables: Mapping[str, pads.Dataset]) -> pa.Table:
    """DuckDB's answer to a query over these tables.

    Raises:
        SpecError: If DuckDB refuses the query.
        ScanFailed: If a file cannot be read.
    """
    connection = duckdb.connect()
    for name, dataset in tables.items():
        connection.register(name, dataset)
    try:
        answer = connection.sql(query)
        if answer is None:
            raise duckdb.Error("a statement without an answer")
        return answer.to_arrow_table()
    except duckdb.Error as error:
        _check_scan(error)
        names = list(tables)
        raise SpecError(
            f"sql: expected a query over {', '.join(names[:-1])} and {names[-1]}, "
            f"got: {_reason(error)}"
        ) from error


def matching(runs: pads.Dataset, where: str) -> pa.ChunkedArray:
    """Ids of the runs that meet a condition in SQL.

    Settings and metrics may be written without quotes, as `param.training.lr` and
    `metric.train_loss`.

    Raises:
        SpecError: If DuckDB refuses the condition, or no run meets it.
        ScanFailed: If a file cannot be read.
    """
    found = meeting(runs, where, "where")
    if not len(found):
        raise SpecError(f"expected a condition that some run meets, got {where!r}", field="where")
    return found


def meeting(runs: pads.Dataset | pa.Table, where: str, field: str) -> pa.ChunkedArray:
    """Ids of the runs that meet a condition in SQL, which the option gave; as `matching`.

    Raises:
        SpecError: If DuckDB refuses the condition.
        ScanFailed: If a file cannot be read.
    """
    connection = duckdb.connect()
    connection.register("stored", runs)
    groups = "".join(f", {found}" for name in GROUPS if (found := _group(name, runs.schema.names)))
    try:
        found = connection.sql(
            f"with runs as (select *{groups} from stored) select run_id from runs where ({where}\n)"
        ).to_arrow_table()
    except duckdb.Error as error:
        _check_scan(error)
        raise SpecError(
            f"expected a condition in SQL over the columns of runs, such as "
            f"'param.training.lr < 0.01', got {where!r}: {_reason(error)}",
            field=field,
        ) from error
    return found["run_id"]


def _group(name: str, columns: Sequence[str]) -> str:
    """The columns below a name as one nested value."""
    tree: dict[str, dict[str, str] | str] = {}
    once = {column.lower(): column for column in reversed(columns)}  # names in SQL have no case
    for column in reversed(once.values()):
        first, _, rest = column.partition(".")
        if first != name:
            continue
        section, _, last = rest.partition(".") if name == "param" else ("", "", rest)
        if section:
            below = tree.setdefault(section, {})
            if isinstance(below, dict):
                below[last] = column
        else:
            tree[last] = column
    return f"{_pack(tree)} as {name}" if tree else ""


def _pack(tree: Mapping[str, Mapping[str, str] | str]) -> str:
    parts = (
        f"{_quoted(key)} := {_quoted(below) if isinstance(below, str) else _pack(below)}"
        for key, below in tree.items()
    )
    return f"struct_pack({', '.join(parts)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_scan(error: duckdb.Error) -> None:
    """Raises `ScanFailed` where DuckDB could not read a table that it was given."""
    if _SCAN.search(str(error)):
        raise ScanFailed(_reason(error).rpartition(" failed: ")[2]) from error


def _reason(error: duckdb.Error) -> str:
    return " ".join(str(error).split())

"""SQL over the files of a sweep, with DuckDB."""

import re
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import SpecError

GROUPS = ("param", "metric")
# Wording of several versions of DuckDB.
_SCAN = re.compile(r"stream registered as|arrow_scan|get_next failed")


class ScanFailed(OSError):
    """Failure to read a file of a valid query's tables."""


def ask(query: str, tables: Mapping[str, pads.Dataset]) -> pa.Table:
    """Return the result of a SQL query over these tables.

    Args:
        query: Query in SQL.
        tables: The tables by name.

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
            raise duckdb.Error("the statement returns no rows; only SELECT is supported")
        return answer.to_arrow_table()
    except duckdb.Error as error:
        _check_scan(error)
        names = list(tables)
        raise SpecError(
            f"sql: expected a query over {', '.join(names[:-1])} and {names[-1]}, "
            f"got: {_reason(error)}"
        ) from error


def matching(runs: pads.Dataset, where: str) -> pa.ChunkedArray:
    """Return the ids of the runs that meet a condition in SQL; at least one.

    Settings and metrics may be written without quotes, as `param.training.lr` and
    `metric.train_loss`.

    Raises:
        SpecError: If DuckDB refuses the condition, or no run meets it.
        ScanFailed: If a file cannot be read.
    """
    run_ids = meeting(runs, where, "where")
    if not len(run_ids):
        raise SpecError(f"no run meets the condition {where!r}", field="where")
    return run_ids


def meeting(runs: pads.Dataset | pa.Table, where: str, field: str) -> pa.ChunkedArray:
    """Return the ids of the runs that meet a condition in SQL, possibly none; see `matching`.

    Args:
        runs: Rows of `runs`.
        where: Condition in SQL.
        field: Name of the argument that holds the condition, for the error.

    Raises:
        SpecError: If DuckDB refuses the condition.
        ScanFailed: If a file cannot be read.
    """
    connection = duckdb.connect()
    connection.register("stored", runs)
    groups = "".join(f", {group}" for name in GROUPS if (group := _group(name, runs.schema.names)))
    try:
        matches = connection.sql(
            f"with runs as (select *{groups} from stored) select run_id from runs where ({where}\n)"
        ).to_arrow_table()
    except duckdb.Error as error:
        _check_scan(error)
        raise SpecError(
            f"expected a condition in SQL over the columns of runs, such as "
            f"'param.training.lr < 0.01', got {where!r}: {_reason(error)}",
            field=field,
        ) from error
    return matches["run_id"]


def _group(name: str, columns: Sequence[str]) -> str:
    """Return the SQL of one nested value that holds the columns below a name."""
    tree: dict[str, dict[str, str] | str] = {}
    # Names in SQL have no case.
    distinct = {column.lower(): column for column in reversed(columns)}
    for column in reversed(distinct.values()):
        first, _, rest = column.partition(".")
        if first != name:
            continue
        section, _, last = rest.partition(".") if name == "param" else ("", "", rest)
        if section:
            branch = tree.setdefault(section, {})
            if isinstance(branch, dict):
                branch[last] = column
        else:
            tree[last] = column
    return f"{_pack(tree)} as {name}" if tree else ""


def _pack(tree: Mapping[str, Mapping[str, str] | str]) -> str:
    parts = (
        f"{_quoted(key)} := {_quoted(node) if isinstance(node, str) else _pack(node)}"
        for key, node in tree.items()
    )
    return f"struct_pack({', '.join(parts)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_scan(error: duckdb.Error) -> None:
    """Raise `ScanFailed` if DuckDB could not read a table."""
    if _SCAN.search(str(error)):
        raise ScanFailed(_reason(error).rpartition(" failed: ")[2]) from error


def _reason(error: duckdb.Error) -> str:
    return " ".join(str(error).split())

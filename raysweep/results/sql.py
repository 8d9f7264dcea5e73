"""SQL over the files of a sweep, with DuckDB."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import SpecError
from raysweep.results.membership import ADDED, LABELS, Membership
from raysweep.results.sql_limits import LOCKED, Limits, of_conditions

GROUPS = ("param", "metric")
MEETING = ("run_id", "configuration_id", *LABELS)  # of runs that meet a condition
PLANNED = "planned"  # the table of the runs that the file plans
# Wording of several versions of DuckDB.
_SCAN = re.compile(r"stream registered as|arrow_scan|get_next failed")
# Words of a query that may name a column or table that follows from the plan; `*` names all.
_PLAN = re.compile(rf"[*#]|\b(columns|describe|summarize|show|{PLANNED}|{'|'.join(ADDED)})\b")
_LABEL = re.compile(rf"\b({'|'.join(LABELS)})\b")
_MISSING = re.compile(r'Referenced column "(.+?)" not found')
_BINDER = duckdb.BinderException  # names that no table has
_ERRORS: dict[str, type[duckdb.Error]] = {
    "INTERRUPT": duckdb.InterruptException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "": duckdb.Error,
}
_ELSEWHERE = "query the sweep where its store is"
BATCH = 65_536  # rows that are read at a time where their size is limited
_QUOTES = re.compile("'[^']*'|\"[^\"]*\"")
_COUNT = re.compile(r"\bcount\(\s*\*\s*\)")
# Labels are joined by configuration, of which there are far fewer than runs.
_VIEW = """create temp view {name} as
    select * exclude (marked), in_plan and marked and seed in (from _shown_seeds) as selected
    from (
        select stored.* replace (
            coalesce(arms.task, stored.task) as task,
            coalesce(arms.estimator, stored.estimator) as estimator
        ),
        arms.task is not null and (
            stored.seed in (from _searched_seeds)
            or (arms.selected and stored.seed in (from _fresh_seeds))
        ) as in_plan,
        coalesce(arms.selected, false) as marked
        from _stored as stored left join {arms} as arms
        on stored.configuration_id = arms.configuration_id{condition})"""
_NOT_OUTDATED = " and stored.run_id not in (from _outdated)"


class ScanFailed(OSError):
    """Failure to read a file of a valid query's tables."""


def needs_plan(query: str) -> bool:
    """Return whether a query may use `planned`, `in_plan` or `selected`."""
    text = _COUNT.sub("", query.lower())
    return bool(_PLAN.search(text)) or not re.match(r"\s*(select|with|pivot)\b", text)


def names_plan(condition: str) -> bool:
    """Return whether a condition may use `in_plan` or `selected`."""
    return any(name in condition.lower() for name in ADDED)


def names_labels(text: str) -> bool:
    """Return whether a query or condition may use the labels of runs."""
    return bool(_LABEL.search(text.lower()))


def ask(
    query: str,
    tables: Mapping[str, pads.Dataset],
    labels: Membership | None = None,
    limits: Limits | None = None,
) -> pa.Table:
    """Return the result of a SQL query over these tables.

    Args:
        query: Query in SQL; of several statements all are run, and the last one
            that returns rows gives the result.
        tables: The tables by name.
        labels: Present labels of `runs`, which then has the columns `in_plan` and `selected`,
            beside the table `planned`; None for a query that needs none of these.
        limits: Limits of the query; None for none.

    Raises:
        SpecError: If DuckDB refuses the query, or it exceeds the limits.
        ScanFailed: If a file cannot be read.
    """
    connection = limits.connect() if limits else duckdb.connect()
    for name, dataset in tables.items():
        if name != "runs" or labels is None:
            connection.register(name, dataset)
        else:
            _create_views(connection, dataset, labels)
    try:
        with _ended_by(connection, limits):
            answer = connection.sql(query)
            if answer is None:
                raise duckdb.Error("the statement returns no rows; only SELECT is supported")
            return answer.to_arrow_table() if limits is None else _limited(answer, limits)
    except duckdb.Error as error:
        _check_scan(error)
        _check_limits(error, limits, "sql: expected a query")
        first, *others, last = tables
        names = ", ".join([first, PLANNED, *others])
        hint = _hint(query, error, tables) if isinstance(error, _BINDER) else ""
        raise SpecError(
            f"sql: expected a query over {names} and {last}, got: {_reason(error)}{hint}"
        ) from error


@contextlib.contextmanager
def _ended_by(connection: duckdb.DuckDBPyConnection, limits: Limits | None) -> Iterator[None]:
    """Interrupt a query that takes longer than its limits allow."""
    if limits is None:
        yield
        return
    timer = threading.Timer(limits.seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # which lets go of the connection


def _limited(answer: duckdb.DuckDBPyRelation, limits: Limits) -> pa.Table:
    """Return the rows of a relation.

    Raises:
        SpecError: If they are too large.
        duckdb.Error: If the query fails, or is interrupted.
    """
    name = "to_arrow_reader" if hasattr(answer, "to_arrow_reader") else "fetch_record_batch"
    reader: pa.RecordBatchReader = getattr(answer, name)(BATCH)
    batches, size = [], 0
    for batch in _read(reader):
        size += batch.nbytes
        if size > limits.result_bytes:
            raise SpecError(
                f"sql: expected a result of at most {limits.result_bytes // 2**20} MiB; select "
                f"fewer rows or columns, or {_ELSEWHERE}"
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _read(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a reader, of whose errors Arrow only keeps the text."""
    try:
        yield from reader
    except OSError as error:
        text = str(error)
        raise next(kind for begin, kind in _ERRORS.items() if text.startswith(begin))(
            text
        ) from error


def _check_limits(
    error: duckdb.Error, limits: Limits | None, expected: str, field: str | None = None
) -> None:
    """Explain an error of a query that exceeds its limits.

    Args:
        error: Error of DuckDB.
        limits: Limits of the query; None for none.
        expected: Beginning of the message.
        field: Name of the argument that holds the query; None for none.

    Raises:
        SpecError: If it does.
    """
    if limits is None:
        return
    if isinstance(error, duckdb.InterruptException):
        most = f"in at most {limits.seconds:g} s"
    elif isinstance(error, duckdb.OutOfMemoryException):
        most = f"in at most {limits.memory} of memory"
    else:
        return
    raise SpecError(
        f"{expected} that ends {most}; select less, or {_ELSEWHERE}", field=field
    ) from error


def _hint(query: str, error: duckdb.Error, tables: Mapping[str, pads.Dataset]) -> str:
    """Return which names with dots need quotes, or which one a missing name is short for."""
    unquoted = _QUOTES.sub(" ", query)
    named = {"runs" if word == PLANNED else word for word in re.findall(r"\w+", query.lower())}
    columns = {name for table in named & set(tables) for name in tables[table].schema.names}
    dotted = sorted((name for name in columns if "." in name), key=lambda name: (-len(name), name))
    written: dict[str, int] = {}
    for name in dotted:
        pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        if match := pattern.search(unquoted):
            written[name] = match.start()
            unquoted = pattern.sub(lambda match: " " * len(match[0]), unquoted)
    if written:
        listed = ", ".join(_quoted(name) for name in sorted(written, key=written.__getitem__))
        return f"; quote {'it' if len(written) == 1 else 'names with dots'}: {listed}"
    missing = _MISSING.search(str(error))
    ends = f".{missing[1].lower()}" if missing else "."
    meant = [_quoted(name) for name in sorted(dotted) if name.lower().endswith(ends)]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def count_statements(query: str) -> int:
    """Return the number of statements of a query; 1 if DuckDB cannot parse it."""
    try:
        return len(duckdb.extract_statements(query))
    except duckdb.Error:
        return 1


def _create_views(
    connection: duckdb.DuckDBPyConnection, runs: pads.Dataset | pa.Table, labels: Membership
) -> None:
    """Create `runs`, `planned`, and `_members`, with a row for each arm of a run."""
    for name, table in {
        "_stored": runs,
        "_labels": labels.labels,
        "_arms": labels.members,
        "_searched_seeds": pa.table({"seed": labels.seeds}),
        "_fresh_seeds": pa.table({"seed": labels.fresh}),
        "_shown_seeds": pa.table({"seed": labels.shown}),
        "_outdated": pa.table({"run_id": labels.outdated}),
    }.items():
        connection.register(name, table)
    condition = _NOT_OUTDATED if len(labels.outdated) else ""
    for name, arms in (("runs", "_labels"), ("_members", "_arms")):
        connection.execute(_VIEW.format(name=name, arms=arms, condition=condition))
    connection.execute(f"create temp view {PLANNED} as from _members where in_plan")


def meeting(
    runs: pads.Dataset | pa.Table, where: str, field: str, labels: Membership | None = None
) -> pa.Table:
    """Return the ids of the runs that meet a condition in SQL, possibly none.

    Settings and metrics may be written without quotes, as `param.training.lr` and
    `metric.train_loss`, and settings by their short names, as `lr`, if only one has that name and
    no column does.

    Args:
        runs: Rows of `runs`.
        where: Condition in SQL.
        field: Name of the argument that holds the condition, for the error.
        labels: Present labels of the rows, with which the result has a row for each arm in which
            a run meets the condition. None for a condition that needs none.

    Returns:
        The column `run_id`, and with labels `configuration_id`, `task` and `estimator`.

    Raises:
        SpecError: If DuckDB refuses the condition, or it exceeds the limits of conditions.
        ScanFailed: If a file cannot be read.
    """
    limits = of_conditions()
    connection = limits.connect() if limits else duckdb.connect(config=LOCKED)
    if labels is None:
        connection.register("_members", runs)
    else:
        _create_views(connection, runs, labels)
    short = _short_names(runs.schema.names)
    more = [group for name in GROUPS if (group := _group(name, runs.schema.names))]
    more += [f"{_quoted(names[0])} as {_quoted(n)}" for n, names in short.items() if not names[1:]]
    names = ", ".join(["run_id"] if labels is None else MEETING)
    try:
        with _ended_by(connection, limits):
            return connection.sql(
                f"with runs as (select {', '.join(['*', *more])} from _members) "
                f"select distinct {names} from runs where ({where}\n)"
            ).to_arrow_table()
    except duckdb.Error as error:
        _check_scan(error)
        _check_limits(error, limits, "expected a condition", field)
        raise SpecError(_mistake(error, where, short), field=field) from error


def _mistake(error: duckdb.Error, where: str, short: Mapping[str, Sequence[str]]) -> str:
    """Return what is wrong with a condition.

    Args:
        error: Error of DuckDB.
        where: Condition in SQL.
        short: Columns of settings by their names without a section.
    """
    missing = _MISSING.search(str(error))
    names = short.get(missing[1].lower(), []) if missing else []
    if missing and names:
        return (
            f"{missing[1]!r} is the name of several settings: {', '.join(names)}; write the full "
            "name of one"
        )
    return (
        f"expected a condition in SQL over the columns of runs, such as "
        f"'param.training.lr < 0.01', got {where!r}: {_reason(error)}"
    )


def _short_names(columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of settings by the names without a section that no column has."""
    taken = {column.lower() for column in (*columns, *ADDED, *GROUPS)}
    short: dict[str, list[str]] = {}
    for column in columns:
        group, _, rest = column.partition(".")
        name = rest.partition(".")[2].lower()
        if group == "param" and name and name not in taken:
            short.setdefault(name, []).append(column)
    return short


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

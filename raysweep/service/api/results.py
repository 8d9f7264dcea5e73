"""Endpoints of the results of a sweep: tables, statistics, runs and curves, figures, logs."""

import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from fastapi.responses import Response

from raysweep.api import Results
from raysweep.api import compare as compared
from raysweep.formats import statistics as statistics_formats
from raysweep.formats import top as top_formats
from raysweep.formats.csv_file import csv_table
from raysweep.formats.hints import hints
from raysweep.formats.logs import logs_text
from raysweep.formats.table_formats import FORMATS
from raysweep.formats.tables import grids
from raysweep.formats.text import as_terminal_text
from raysweep.results import edits
from raysweep.service.api.access import AnyUser, Parts, Service_
from raysweep.service.api.answers import MEDIA_TYPES, formatted, text_answer
from raysweep.service.api.errors import TooLarge
from raysweep.service.api.parameters import Chosen, Room, Roomy, Shown, Styled

router = APIRouter(tags=["results"])
Rows = Literal["runs", "planned", "curves", "attempts", "decisions"]
TableFormat = Literal["text", "terminal", "notebook", "markdown", "latex", "html", "csv", "json"]
TopFormat = Literal["text", "notebook", "markdown", "latex", "html", "csv", "json"]
StatisticsFormat = Literal["text", "notebook", "markdown", "csv", "json"]


@router.get("/sweeps/{name}/table", response_class=Response)
def table(  # noqa: PLR0913, PLR0917 - parameters of the query
    name: str,
    user: AnyUser,
    parts: Service_,
    metrics: Chosen,
    filters: Shown,
    style: Styled,
    room: Roomy,
    format: TableFormat = "json",
) -> Response:
    """Return the result table, as `raysweep table` prints it.

    `terminal` is text with colours, `notebook` HTML with a style.
    """
    options = {**metrics.given, **filters.given, **style.given}
    return _table(parts, [name], options, format, room)


@router.get("/compare", response_class=Response)
def compare(  # noqa: PLR0913, PLR0917 - parameters of the query
    sweep: Annotated[list[str], Query(min_length=1, max_length=100)],
    user: AnyUser,
    parts: Service_,
    metrics: Chosen,
    filters: Shown,
    style: Styled,
    room: Roomy,
    format: TableFormat = "json",
) -> Response:
    """Return one result table of several sweeps, as `raysweep table` prints it."""
    options = {**metrics.given, **filters.given, **style.given}
    return _table(parts, list(dict.fromkeys(sweep)), options, format, room)


def _table(
    parts: Parts, sweeps: list[str], options: dict[str, Any], format: TableFormat, room: Room
) -> Response:
    def compute(several: Sequence[Results]) -> str:
        table = compared(*several, **options)
        if format == "terminal":
            return as_terminal_text(table, room.screen.width)
        return formatted(format, room.screen, grids(table), lambda name: FORMATS[name](table))

    key = ("table", format, room.screen, repr(options))
    return text_answer(format, parts.readings.together(sweeps, key, compute))


@router.get("/sweeps/{name}/statistics", response_class=Response)
def statistics(
    name: str,
    user: AnyUser,
    parts: Service_,
    metrics: Chosen,
    filters: Shown,
    room: Roomy,
    format: StatisticsFormat = "json",
) -> Response:
    """Return the statistics of each arm and over tasks, as `raysweep stats` prints them.

    `notebook` lacks those around the selected settings, as in `raysweep.Results.statistics`.
    """
    options = {**metrics.given, **filters.given}

    def compute(results: Results) -> str:
        shown = results.statistics(**options)
        moves = () if format == "notebook" else results.sensitivity(**options)
        return formatted(
            format,
            room.screen,
            statistics_formats.grids(shown, moves),
            lambda name: statistics_formats.FORMATS[name](shown, moves),
        )

    key = ("statistics", format, room.screen, repr(options))
    return text_answer(format, parts.readings.answer(name, key, compute))


@router.get("/sweeps/{name}/top", response_class=Response)
def top(  # noqa: PLR0913, PLR0917 - parameters of the query
    name: str,
    user: AnyUser,
    parts: Service_,
    filters: Shown,
    room: Roomy,
    n: Annotated[int, Query(le=1_000_000)] = 5,
    metric: str | None = None,
    format: TopFormat = "json",
) -> Response:
    """Return the best configurations of each arm, as `raysweep top` prints them."""

    def compute(results: Results) -> str:
        best = results.top(n, metric=metric, **filters.given)
        grid = top_formats.top_grid(best)
        return formatted(format, room.screen, [grid], lambda name: top_formats.FORMATS[name](best))

    key = ("top", n, metric, format, room.screen, repr(filters.given))
    return text_answer(format, parts.readings.answer(name, key, compute))


@router.get("/sweeps/{name}/runs", response_class=Response)
def runs(
    name: str,
    user: AnyUser,
    parts: Service_,
    format: Literal["parquet", "arrow", "csv"] = "parquet",
    table: Rows = "runs",
) -> Response:
    """Return a table of the store, by default every ended run, as Parquet or an Arrow stream."""
    results, most = parts.readings.open(name), parts.service.config.answer_bytes
    sink = io.BytesIO()
    with parts.readings.turn():
        schema, some = results.batches(table)
        rows = pa.concat_tables([schema.empty_table(), *_limited(some, most)])
        if format == "csv":
            pacsv.write_csv(csv_table(rows), sink)
        elif format == "arrow":
            with pa.ipc.new_stream(sink, schema) as writer:
                writer.write_table(rows)
        else:
            pq.write_table(rows, sink)
    file = f'attachment; filename="{name}-{table}.{format}"'
    return Response(
        sink.getvalue(), media_type=MEDIA_TYPES[format], headers={"Content-Disposition": file}
    )


@router.get("/sweeps/{name}/curves", response_class=Response)
def curves(
    name: str,
    user: AnyUser,
    parts: Service_,
    format: Literal["parquet", "arrow", "csv"] = "arrow",
) -> Response:
    """Return the metrics over steps, one row per run and step."""
    return runs(name, user, parts, format, "curves")


@router.get("/sweeps/{name}/logs", response_class=Response)
def logs(
    name: str,
    user: AnyUser,
    parts: Service_,
    run: str | None = None,
    driver: bool = False,
    tail: Annotated[int | None, Query(ge=1, le=100_000, description="Last lines only")] = None,
) -> Response:
    """Return tracebacks and output of runs, or what the last driver printed."""
    entry = parts.service.sweeps.entry(name)
    if driver:
        number = entry.submission.jobs if entry.submission else 0
        job_id = parts.service.supervisor.job_id(name, number)
        text = parts.service.jobs.logs(job_id) if number else ""
    elif entry.status is None:
        text = f"no run of {name} has started\n"
    else:
        with parts.readings.turn():
            text = logs_text(parts.service.store.uri, name, run)
    lines = text.splitlines(keepends=True)
    return text_answer("text", "".join(lines[-tail:] if tail else lines))


@router.get("/sweeps/{name}/warnings")
def warnings(
    name: str,
    user: AnyUser,
    parts: Service_,
    about: Annotated[
        list[Literal["speed", "defaults", "code"]] | None,
        Query(description="Changed defaults and code, as by default, or what makes reading slow"),
    ] = None,
) -> list[str]:
    """Return what a reader of the results must know, a line each."""
    wanted = about or ("defaults", "code")
    if parts.service.sweeps.entry(name).status is None:
        return []
    results = parts.readings.open(name)
    with parts.readings.turn():
        lines = hints(results.store) if "speed" in wanted else []
        if "code" in wanted:
            defaults = "defaults" in wanted
            lines += edits.warnings(results.spec, results.store, defaults=defaults)
    return lines


def _limited(some: Iterator[pa.Table], most: int) -> Iterator[pa.Table]:
    """Yield parts of a table up to a size in memory.

    Raises:
        TooLarge: If there are more.
    """
    size = 0
    for part in some:
        size += part.nbytes
        if size > most:
            raise TooLarge(
                f"expected a table of at most {most} bytes, the limit of the service; read it from "
                "the store with raysweep.open"
            )
        yield part

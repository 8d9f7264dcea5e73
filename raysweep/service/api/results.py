"""Endpoints of the results of a sweep: tables, statistics, runs and curves, figures, logs."""

import io
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from raysweep.api import Results
from raysweep.formats import FORMATS
from raysweep.formats import statistics as statistics_formats
from raysweep.formats import top as top_formats
from raysweep.formats.csv_file import csv_table
from raysweep.formats.logs import logs_text
from raysweep.formats.tables import grids
from raysweep.formats.text import Screen, as_text
from raysweep.results import edits
from raysweep.service.api.access import AnyUser, Service_
from raysweep.service.api.errors import TooLarge

router = APIRouter(tags=["results"])
TYPES = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "latex": "application/x-latex",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
}
ROW_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv",
}
Rows = Literal["runs", "planned", "curves", "attempts", "decisions"]
TableFormat = Literal["text", "markdown", "latex", "html", "csv", "json"]
Width = Annotated[int | None, Query(ge=20, le=10_000, description="Characters of a line of text")]
Labels = Annotated[list[str] | None, Query()]


class Filters:
    """Part of a sweep that is shown.

    Args:
        estimators: Labels of the estimators, or methods, to show.
        tasks: Labels of the tasks to show.
        where: SQL condition over the columns of `runs` that runs must meet.
    """

    def __init__(
        self, estimators: Labels = None, tasks: Labels = None, where: str | None = None
    ) -> None:
        self.given: dict[str, Any] = {
            "estimators": tuple(estimators or ()),
            "tasks": tuple(tasks or ()),
            "where": where,
        }


Shown = Annotated[Filters, Depends()]


class Metrics:
    """Metrics of a table.

    Args:
        select: Metric whose mean over seeds selects a configuration.
        report: Metric to show.
    """

    def __init__(self, select: str | None = None, report: str | None = None) -> None:
        self.given: dict[str, Any] = {"select": select, "report": report}


Chosen = Annotated[Metrics, Depends()]


class Style:
    """Style of a table.

    Args:
        spread: Spread beside the mean.
        test: Significance test of differences between rows.
        level: Significance level, after Holm's correction.
        average: Whether to show the average over tasks in any case.
    """

    def __init__(
        self,
        spread: Literal["std", "sem", "ci"] = "std",
        test: Literal["welch", "mann-whitney"] = "welch",
        level: Annotated[float, Query(gt=0, lt=1)] = 0.05,
        average: bool = False,
    ) -> None:
        self.given: dict[str, Any] = {
            "spread": spread,
            "test": test,
            "level": level,
            "average": average,
        }


Styled = Annotated[Style, Depends()]


@router.get("/sweeps/{name}/table", response_class=Response)
def table(  # noqa: PLR0913, PLR0917 - parameters of the query
    name: str,
    user: AnyUser,
    parts: Service_,
    metrics: Chosen,
    filters: Shown,
    style: Styled,
    format: TableFormat = "json",
    width: Width = None,
) -> Response:
    """Return the result table, as `raysweep table` prints it."""
    options = {**metrics.given, **filters.given, **style.given}

    def compute(results: Results) -> str:
        result_table = results.table(**options)
        if format == "text":
            return as_text(grids(result_table), Screen(width))
        return FORMATS[format](result_table)

    key = ("table", format, width, repr(options))
    return _text(format, parts.readings.answer(name, key, compute))


@router.get("/sweeps/{name}/statistics", response_class=Response)
def statistics(
    name: str,
    user: AnyUser,
    parts: Service_,
    metrics: Chosen,
    filters: Shown,
    format: Literal["text", "markdown", "csv", "json"] = "json",
    width: Width = None,
) -> Response:
    """Return the statistics of each arm and over tasks, as `raysweep stats` prints them."""
    options = {**metrics.given, **filters.given}

    def compute(results: Results) -> str:
        shown, moves = results.statistics(**options), results.sensitivity(**options)
        if format == "text":
            return as_text(statistics_formats.grids(shown, moves), Screen(width))
        return statistics_formats.FORMATS[format](shown, moves)

    key = ("statistics", format, width, repr(options))
    return _text(format, parts.readings.answer(name, key, compute))


@router.get("/sweeps/{name}/top", response_class=Response)
def top(  # noqa: PLR0913, PLR0917 - parameters of the query
    name: str,
    user: AnyUser,
    parts: Service_,
    filters: Shown,
    n: Annotated[int, Query(ge=1, le=1000)] = 5,
    metric: str | None = None,
    format: TableFormat = "json",
    width: Width = None,
) -> Response:
    """Return the best configurations of each arm, as `raysweep top` prints them."""

    def compute(results: Results) -> str:
        best = results.top(n, metric=metric, **filters.given)
        if format == "text":
            return as_text([top_formats.top_grid(best)], Screen(width))
        return top_formats.FORMATS[format](best)

    key = ("top", n, metric, format, width, repr(filters.given))
    return _text(format, parts.readings.answer(name, key, compute))


@router.get("/sweeps/{name}/runs", response_class=Response)
def runs(
    name: str,
    user: AnyUser,
    parts: Service_,
    format: Literal["parquet", "arrow", "csv"] = "parquet",
    table: Rows = "runs",
) -> Response:
    """Return a table of the store, by default every ended run, as Parquet or an Arrow stream."""
    schema, some = parts.readings.open(name).batches(table)
    rows = pa.concat_tables(
        [schema.empty_table(), *_limited(some, parts.service.config.answer_bytes)]
    )
    sink = io.BytesIO()
    if format == "csv":
        pacsv.write_csv(csv_table(rows), sink)
    elif format == "arrow":
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(rows)
    else:
        pq.write_table(rows, sink)
    file = f'attachment; filename="{name}-{table}.{format}"'
    return Response(
        sink.getvalue(), media_type=ROW_TYPES[format], headers={"Content-Disposition": file}
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
        text = logs_text(parts.service.store.uri, name, run)
    lines = text.splitlines(keepends=True)
    return _text("text", "".join(lines[-tail:] if tail else lines))


@router.get("/sweeps/{name}/warnings")
def warnings(name: str, user: AnyUser, parts: Service_) -> list[str]:
    """Return what a reader of the results must know, a line each."""
    results = parts.readings.open(name)
    return list(edits.warnings(results.spec, results.store, defaults=True))


def _text(format: str, text: str | bytes) -> Response:
    headers = {}
    if format == "html":  # a part of a page by itself is never run as one
        headers = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        }
    return Response(text, media_type=f"{TYPES[format]}; charset=utf-8", headers=headers)


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

"""Endpoints of questions about results: SQL, differences of two sweeps, importance of settings."""

import asyncio
import io
import json
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from raysweep.errors import SpecError
from raysweep.formats import diff as diff_formats
from raysweep.formats.csv_file import csv_table
from raysweep.formats.grid import arrow_grid
from raysweep.formats.importance import render as render_importance
from raysweep.formats.text import as_text
from raysweep.results.compare import difference
from raysweep.results.sql import count_statements
from raysweep.results.sql_limits import Limits
from raysweep.service.api.access import AnyUser, Service_
from raysweep.service.api.answers import MEDIA_TYPES, text_answer
from raysweep.service.api.parameters import Room, Roomy

router = APIRouter(tags=["results"])
STATEMENTS = "X-Raysweep-Statements"
SQL_BODY = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string", "maxLength": 100_000}}},
    }
}
LIMITS = Limits()


@router.post("/sweeps/{name}/sql", response_class=Response, openapi_extra=SQL_BODY)
async def sql(
    request: Request,
    name: str,
    user: AnyUser,
    parts: Service_,
    room: Roomy,
    format: Literal["text", "csv", "json", "arrow"] = "json",
) -> Response:
    """Query a sweep's runs, curves and attempts with SQL, as `raysweep sql` does.

    The body is the query. It cannot read files, and ends after half a minute at the latest. JSON
    has a line for each row.
    """
    try:
        query = (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("sql: expected a query as UTF-8 text") from error
    return await asyncio.to_thread(_answered, parts, name, query, format, room)


def _answered(parts: Service_, name: str, query: str, format: str, room: Room) -> Response:
    results = parts.readings.open(name)
    with parts.readings.turn():
        rows = results.sql(query, limits=LIMITS)
        answer = _rendered(rows, format, room)
    answer.headers[STATEMENTS] = str(count_statements(query))
    return answer


def _rendered(rows: pa.Table, format: str, room: Room) -> Response:
    if format == "json":
        lines = (f"{json.dumps(row, default=str)}\n" for row in rows.to_pylist())
        return text_answer("json", "".join(lines))
    if format == "text":
        return text_answer("text", as_text([arrow_grid(rows)], room.screen))
    sink = io.BytesIO()
    if format == "csv":
        pacsv.write_csv(csv_table(rows), sink)
        return text_answer("csv", sink.getvalue())
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return Response(sink.getvalue(), media_type=MEDIA_TYPES["arrow"])


@router.get("/sweeps/{name}/diff", response_class=Response)
def diff(
    name: str,
    other: Annotated[str, Query(description="The sweep to compare it with")],
    user: AnyUser,
    parts: Service_,
    room: Roomy,
    report: str | None = None,
    format: Literal["text", "markdown", "html", "json"] = "json",
) -> Response:
    """Compare two sweeps: settings, selected configurations, means, as `raysweep diff` does."""
    first, second = parts.readings.open(name), parts.readings.open(other)
    with parts.readings.turn():
        differences = difference(first, second, report)
        if format == "text":
            text = as_text(diff_formats.diff_grids(differences), room.screen)
        else:
            text = diff_formats.FORMATS[format](differences)
    return text_answer(format, text)


@router.get("/sweeps/{name}/importance", response_class=Response)
def importance(
    name: str,
    user: AnyUser,
    parts: Service_,
    room: Roomy,
    metric: str | None = None,
    evaluator: Literal["ped-anova", "fanova", "mdi"] = "ped-anova",
    format: Literal["text", "json"] = "json",
) -> Response:
    """Return the importance of each searched setting, as `raysweep importance` prints it."""
    key = ("importance", metric, evaluator, format, room.screen)
    return text_answer(
        format,
        parts.readings.answer(
            name,
            key,
            lambda results: render_importance(
                name, results.importance(metric, evaluator), format, room.screen
            ),
        ),
    )

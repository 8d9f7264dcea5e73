"""Parts of a sweep's page that are read from its results or logs, each by itself."""

import gzip
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from raysweep.api import Results
from raysweep.errors import SpecError
from raysweep.formats.logs import failed_by_error, logs_text
from raysweep.report.page import Sections
from raysweep.service.api.access import Parts, Service_
from raysweep.service.pages.rendering import FRAGMENT, html, render
from raysweep.service.pages.users import PageUser
from raysweep.service.state import Entry
from raysweep.store import pack_log

router = APIRouter(include_in_schema=False)
TITLES = {
    "results": "Results",
    "figures": "Figures",
    "statistics": "Statistics",
    "configurations": "Selected configurations",
    "failures": "Failures and divergences",
    "provenance": "Provenance",
    "logs": "Output and tracebacks of runs",
    "driver": "Output of the driver",
    "file": "Sweep file",
}
OF_RESULTS = ("results", "figures", "statistics", "configurations")
MOST_PACKS = 500  # in the list of those with output
MOST_ERRORS = 20  # with a traceback
DRIVER_LINES = 500
MOST_LETTERS = 400_000  # of a log in a page
SHORT_BYTES = 10_000  # up to which a part is not compressed
OLD = "X-Old"  # header of a part that is not up to date
Content = tuple[str, bool]  # HTML of a part, and whether it is up to date
Show = Callable[[Parts, Entry, str], Content]


@router.get("/sweeps/{name}/parts/{part}")
def show(
    request: Request,
    name: str,
    part: str,
    user: PageUser,
    parts: Service_,
    run: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show a part of a sweep's page: its content alone to scripts, else as a page."""
    if part not in TITLES:
        raise HTTPException(404, f"a sweep's page has no part {part!r}")
    entry = parts.service.sweeps.entry(name)
    content, is_current = SHOW[part](parts, entry, run.strip())
    response = html(
        request, "part.html", name=name, part=part, title=TITLES[part], content=Markup(content)
    )
    if not is_current:
        response.headers[OLD] = "1"
    return compressed(request, response)


def compressed(request: Request, response: Response) -> Response:
    """Return an answer compressed, if it is long and holds nothing that is secret.

    Whole pages hold the text that their forms send, which the length of a compressed page could
    give away; parts for scripts do not.
    """
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    if FRAGMENT in request.headers and accepts and len(response.body) > SHORT_BYTES:
        response.body = gzip.compress(bytes(response.body), 5)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


def _computed(part: str) -> Show:
    """Return a function that shows a section of the report."""

    def compute(results: Results) -> str:
        tracebacks = failed_by_error(results.store) if part == "failures" else []
        return render(
            "computed.html",
            part=part,
            page=Sections(results),
            tracebacks=tracebacks[:MOST_ERRORS],
            sweep=results.sweep,
        )

    def content(parts: Parts, entry: Entry, run: str) -> Content:
        if entry.status is None or (part in OF_RESULTS and not entry.ended):
            return render("computed.html", part="nothing"), True
        key, live = ("part", part), part == "figures"
        if entry.state == "running":
            return parts.readings.recent(entry.name, key, compute, live=live)
        return parts.readings.answer(entry.name, key, compute, live=live), True

    return content


def _logs(parts: Parts, entry: Entry, run: str) -> Content:
    text, problem, packs = "", "", []
    if entry.status is not None:
        packs = pack_log.packs(parts.service.store.below(entry.name))
        try:
            text = logs_text(parts.service.store.uri, entry.name, run or None)
        except SpecError as error:
            problem = str(error)
    return _log(entry, "logs", text, run=run, packs=packs[:MOST_PACKS], problem=problem)


def _driver(parts: Parts, entry: Entry, run: str) -> Content:
    number = entry.submission.jobs if entry.submission else 0
    job_id = parts.service.supervisor.job_id(entry.name, number)
    lines = parts.service.jobs.logs(job_id).splitlines() if number else []
    return _log(entry, "driver", "\n".join(lines[-DRIVER_LINES:]), lines=len(lines))


def _log(entry: Entry, part: str, text: str, **more: Any) -> Content:
    end = text[-MOST_LETTERS:]
    is_cut = len(end) < len(text)
    values = {"part": part, "name": entry.name, "text": end, "is_cut": is_cut, **more}
    return render("log.html", **values), True


def _file(parts: Parts, entry: Entry, run: str) -> Content:
    return _log(entry, "file", parts.service.sweeps.file(entry))


SHOW: Mapping[str, Show] = {
    **{part: _computed(part) for part in list(TITLES)[:6]},
    "logs": _logs,
    "driver": _driver,
    "file": _file,
}

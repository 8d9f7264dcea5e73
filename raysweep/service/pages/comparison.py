"""Page of several sweeps side by side."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from raysweep.api import Results
from raysweep.errors import SpecError
from raysweep.report.comparison import comparison
from raysweep.service.api.access import Parts, Service_
from raysweep.service.api.sweeps import in_order
from raysweep.service.pages.parts import compressed
from raysweep.service.pages.rendering import html, render
from raysweep.service.pages.users import PageUser
from raysweep.service.state import Entry
from raysweep.service.sweeps import NoSuchSweep
from raysweep.text import some

router = APIRouter(include_in_schema=False)
MOST_SWEEPS = 20
Names = Annotated[list[str] | None, Query(alias="sweep")]


@router.get("/compare")
def compare(
    request: Request, user: PageUser, parts: Service_, sweeps: Names = None, select: str = ""
) -> Response:
    """Show sweeps side by side; their numbers are loaded after the page."""
    names = _names(sweeps)
    entries, problem = _entries(parts, names)
    metrics = dict.fromkeys(
        metric for entry in entries if entry.status for metric in entry.status.spec.metrics
    )
    return html(
        request,
        "compare.html",
        names=names,
        others=[entry.name for entry in in_order(parts.service.catalogue.entries())],
        select=select,
        metrics=list(metrics),
        address=f"/compare/numbers?{_query(names, select)}",
        problem=problem,
    )


@router.get("/compare/numbers")
def numbers(
    request: Request, user: PageUser, parts: Service_, sweeps: Names = None, select: str = ""
) -> Response:
    """Show the numbers of several sweeps: their content alone to scripts, else as a page."""
    names = _names(sweeps)[:MOST_SWEEPS]
    content = _numbers(parts, names, select) if len(names) > 1 else ""
    response = html(
        request,
        "compared.html",
        names=names,
        address=f"/compare?{_query(names, select)}",
        content=Markup(content),
    )
    return compressed(request, response)


def _names(sweeps: Sequence[str] | None) -> list[str]:
    return [name for name in dict.fromkeys(sweeps or ()) if name]


def _entries(parts: Parts, names: Sequence[str]) -> tuple[list[Entry], str]:
    """Return the sweeps with these names, and why they cannot be compared; empty if they can."""
    if len(names) > MOST_SWEEPS:
        return [], f"expected at most {MOST_SWEEPS} sweeps, got {len(names)}; choose fewer"
    try:
        entries = [parts.service.sweeps.entry(name) for name in names]
    except NoSuchSweep as error:
        return [], str(error)
    waiting = [entry.name for entry in entries if entry.status is None]
    problem = f"no session of {some(waiting)} has started yet; choose others" if waiting else ""
    return entries, problem


def _numbers(parts: Parts, names: Sequence[str], select: str) -> str:
    def compute(several: Sequence[Results]) -> str:
        try:
            content = comparison(several, select or None)
        except SpecError as error:
            return render("numbers.html", problems=error.problems)
        return render("numbers.html", problems=[], content=content)

    return parts.readings.together(names, ("compared", select), compute)


def _query(names: Sequence[str], select: str) -> str:
    pairs = [("sweep", name) for name in names]
    return urlencode([*pairs, ("select", select)] if select else pairs)

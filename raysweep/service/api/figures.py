"""Endpoints of figures, from the same chart descriptions as `raysweep plot` and the report."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from raysweep.figures.kinds import DrawnFile, drawn_file
from raysweep.figures.options import Kind
from raysweep.report.page import page
from raysweep.report.write import render
from raysweep.service.api.access import AnyUser, Service_
from raysweep.service.api.answers import MEDIA_TYPES
from raysweep.service.api.parameters import Labels, Shown

router = APIRouter(tags=["results"])
# A picture or a page by itself must not act for the user who opens it.
ALONE = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:"
)
NAME, NOTE = "X-Raysweep-File", "X-Raysweep-Note"  # headers, whose values are percent-encoded


class Data:
    """Data of a figure.

    Args:
        filters: Part of the sweep that is shown.
        metric: Metrics to show.
        select: Metric that selects the configuration of each cell.
        over: Settings along the axes.
        x: Metrics along the x axis of paths.
        y: Metrics along the y axis of paths.
        all: Whether curves and time have a line for every configuration.
    """

    def __init__(
        self,
        filters: Shown,
        metric: Labels = None,
        select: str | None = None,
        over: Labels = None,
        x: Labels = None,
        y: Labels = None,
        all: bool = False,
    ) -> None:
        self.given: dict[str, Any] = {
            **filters.given,
            "metric": metric,
            "select": select,
            "over": over,
            "x": x,
            "y": y,
            "all": all,
        }


class Look:
    """Look of a figure.

    Args:
        log: Whether y axes are logarithmic.
        band: Band around curves.
        size: Size for a screen, or a column or a page of a paper.
        font: Letters without or with serifs.
        caption: Whether the caption is below the figure.
    """

    def __init__(
        self,
        log: bool = False,
        band: Literal["sem", "std", "ci"] | None = None,
        size: Literal["screen", "column", "page"] | None = None,
        font: Literal["sans", "serif"] | None = None,
        caption: bool = True,
    ) -> None:
        self.given: dict[str, Any] = {"log": log, "band": band, "size": size, "font": font}
        self.given |= {} if caption else {"caption": False}


@router.get("/sweeps/{name}/figures/{kind}", response_class=Response)
def figure(  # noqa: PLR0913, PLR0917 - parameters of the query
    name: str,
    kind: Kind,
    user: AnyUser,
    parts: Service_,
    data: Annotated[Data, Depends()],
    look: Annotated[Look, Depends()],
    format: Literal["json", "svg", "png", "pdf", "html"] = "json",
    dpi: Annotated[int, Query(ge=36, le=1200)] = 200,
) -> Response:
    """Draw a figure; `json` is its Vega-Lite description."""
    given = {**data.given, **look.given}
    options = {option: value for option, value in given.items() if value or option == "caption"}
    drawn: DrawnFile = parts.readings.answer(
        name,
        ("figure", kind, format, dpi, repr(options)),
        lambda results: drawn_file(results, kind, options, f".{format}", dpi=dpi),
        live=True,
    )
    headers = {"Content-Security-Policy": ALONE, NAME: quote(drawn.name), NOTE: quote(drawn.note)}
    return Response(drawn.content, media_type=MEDIA_TYPES[format], headers=headers)


@router.get("/sweeps/{name}/report", response_class=Response)
def report(
    name: str, user: AnyUser, parts: Service_, select: str | None = None, download: bool = False
) -> Response:
    """Return everything about a sweep as one HTML file that needs no network."""
    text = parts.readings.answer(
        name, ("report", select), lambda results: render(page(results, select)), live=True
    )
    headers = {"Content-Security-Policy": ALONE}
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{name}.html"'
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)

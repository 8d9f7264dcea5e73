"""Endpoints of figures, from the same chart descriptions as `raysweep plot` and the report."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from raysweep.api import Results
from raysweep.figures.kinds import save
from raysweep.figures.options import Kind
from raysweep.report.page import page
from raysweep.report.write import render
from raysweep.service.api.access import AnyUser, Service_
from raysweep.service.api.results import Labels

router = APIRouter(tags=["results"])
TYPES = {
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "html": "text/html",
}
# A picture or a page by itself must not act for the user who opens it.
ALONE = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:"
)


@router.get("/sweeps/{name}/figures/{kind}", response_class=Response)
def figure(  # noqa: PLR0913, PLR0917 - options of the figure
    name: str,
    kind: Kind,
    user: AnyUser,
    parts: Service_,
    format: Literal["json", "svg", "png", "pdf", "html"] = "json",
    metric: Labels = None,
    select: str | None = None,
    estimators: Labels = None,
    tasks: Labels = None,
    over: Labels = None,
    x: Labels = None,
    y: Labels = None,
    band: Literal["sem", "std", "ci"] | None = None,
    log: bool = False,
    all: bool = False,
    size: Literal["screen", "column", "page"] = "screen",
    font: Literal["sans", "serif"] = "sans",
    caption: bool = True,
    dpi: Annotated[int, Query(ge=36, le=600)] = 200,
) -> Response:
    """Draw a figure; `json` is its Vega-Lite description."""
    given: dict[str, Any] = {
        "metric": metric,
        "select": select,
        "estimators": estimators,
        "tasks": tasks,
        "over": over,
        "x": x,
        "y": y,
        "band": band,
        "log": log,
        "all": all,
    }
    options = {option: value for option, value in given.items() if value}
    options |= {"size": size, "font": font, "caption": caption}

    def compute(results: Results) -> bytes:
        with tempfile.TemporaryDirectory(prefix="raysweep-") as folder:
            path = Path(folder) / f"figure.{format}"
            save(results, kind, options, path, dpi=dpi)
            return path.read_bytes()

    key = ("figure", kind, format, dpi, repr(options))
    content = parts.readings.answer(name, key, compute)
    headers = {"Content-Security-Policy": ALONE}
    return Response(content, media_type=TYPES[format], headers=headers)


@router.get("/sweeps/{name}/report", response_class=Response)
def report(
    name: str, user: AnyUser, parts: Service_, select: str | None = None, download: bool = False
) -> Response:
    """Return everything about a sweep as one HTML file that needs no network."""

    def compute(results: Results) -> str:
        return render(page(results, select))

    text = parts.readings.answer(name, ("report", select), compute)
    headers = {"Content-Security-Policy": ALONE}
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{name}.html"'
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)

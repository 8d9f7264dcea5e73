"""Static files of the pages: styles, scripts, and Vega; names in pages change with the content."""

import functools
import gzip
import hashlib
from collections.abc import Callable, Mapping
from importlib import metadata, resources

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from raysweep.figures.rendering import embedding_script
from raysweep.report.templates import palettes, text_of

router = APIRouter(include_in_schema=False)
YEAR_S = 31_536_000
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _own(name: str) -> str:
    return (resources.files("raysweep.service.pages") / name).read_text(encoding="utf-8")


def _style() -> str:
    """Return the style of the report, with the colours of rows."""
    light, dark = (
        f":root {{ {' '.join(f'--{name}: {colour};' for name, colour in colours)} }}"
        for colours in palettes()
    )
    dark = f"@media screen and (prefers-color-scheme: dark) {{ {dark} }}"
    return f"{text_of('page.css')}\n{light}\n{dark}\n"


FILES: Mapping[str, Callable[[], str]] = {
    "report.css": _style,
    "report.js": lambda: text_of("page.js"),
    "vega.js": embedding_script,
    **{
        name: functools.partial(_own, name)
        for name in ("pages.css", "plain.css", "pages.js", "submit.js", "icon.svg")
    },
}


@functools.cache
def content(name: str) -> tuple[bytes, bytes]:
    """Return a static file, as it is and compressed."""
    data = FILES[name]().encode()
    return data, gzip.compress(data, mtime=0)


@functools.cache
def address(name: str) -> str:
    """Return the address of a static file, which differs when its content does."""
    if name == "vega.js":  # large, and of a package
        mark = metadata.version("vl-convert-python")
    else:
        mark = hashlib.sha256(content(name)[0]).hexdigest()[:12]
    return f"/static/{name}?v={mark}"


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """Return a static file; needs no token."""
    if name not in FILES:
        raise HTTPException(404, "no such file")
    plain, compressed = content(name)
    headers = {"Vary": "Accept-Encoding"}
    if request.url.query:
        headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    if "gzip" in request.headers.get("accept-encoding", ""):
        plain, headers["Content-Encoding"] = compressed, "gzip"
    kind = TYPES[name.rpartition(".")[2]]
    return Response(plain, media_type=f"{kind}; charset=utf-8", headers=headers)

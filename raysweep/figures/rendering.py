"""Files of figures: a description rendered as PNG, PDF, SVG, HTML or JSON, without a network."""

import functools
import html
import json
import re
from collections.abc import Iterable
from typing import Any

import vl_convert

from raysweep.figures.layout import VERSION, Description, still
from raysweep.figures.size import FONTS

PICTURES = (".png", ".pdf")  # of which the letters are drawn here
DPI = 200  # of a PNG
COMMON = 0x24F  # the last letter of the scripts that every font has
# No part of a figure needs more than version 1.4; LaTeX warns of files later than 1.5.
VERSIONS = (b"%PDF-1.7", b"%PDF-1.5")
UNASSIGNED = "\U0010fffe"  # no font has it

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<div id="figure" role="img" aria-label="{title}"></div>
<script type="application/json" id="description">{description}</script>
<script>{script}</script>
<script>
vegaEmbed("#figure", JSON.parse(document.getElementById("description").textContent),
  {{ ast: true, renderer: "svg", logLevel: 1, // errors alone, not that a panel lacks a mark
    actions: {{ source: false, compiled: false, editor: false }} }});
</script>
</body>
</html>
"""


def rendered(description: Description, suffix: str, *, title: str, dpi: int = DPI) -> bytes:
    """Return a figure as the content of a file.

    Args:
        description: Vega-Lite description of the figure, one pixel of which is a point.
        suffix: Suffix of the file's name, one of `output_file.FIGURES`.
        title: Title of an HTML page.
        dpi: Pixels per inch of a PNG.
    """
    if suffix == ".png":
        return vl_convert.vegalite_to_png(still(description), vl_version=VERSION, ppi=dpi)
    if suffix in (".pdf", ".svg"):
        svg = _numbered(vl_convert.vegalite_to_svg(still(description), vl_version=VERSION))
        if suffix == ".pdf":
            return _ordered(vl_convert.svg_to_pdf(svg)).replace(*VERSIONS, 1)
        return re.sub(r'( (?:width|height)="[\d.]+)"', r'\1pt"', svg, count=2).encode()
    if suffix == ".json":
        return f"{json.dumps(description, ensure_ascii=False, allow_nan=False)}\n".encode()
    page = _PAGE.format(
        title=html.escape(title),
        description=data_in_page(description),
        script=embedding_script(),
    )
    return page.encode()


def _ordered(pdf: bytes) -> bytes:
    """Return a PDF with the entries of its dictionaries of resources in order, of any before."""

    def sort(match: re.Match[bytes]) -> bytes:
        return b"\n" + b"\n".join(sorted(match[0].strip(b"\n").split(b"\n")))

    return re.sub(rb"(?:\n +/[A-Za-z]+\d+ \d+ 0 R)+", sort, pdf)


def _numbered(svg: str) -> str:
    """Return SVG with its parts numbered from 0; Vega continues to count in the next figure."""
    names: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{match[1]}{len(names)}")

    return re.sub(r"\b(clip|gradient_)\d+\b", renamed, svg)


@functools.cache
def embedding_script() -> str:
    """Return the program of Vega and its interpreter for a page."""
    bundle = vl_convert.javascript_bundle(vl_version=VERSION)  # type: ignore[call-arg] # has a default
    return program_in_page(bundle)


def data_in_page(data: Any) -> str:
    """Return data as JSON for a script element, escaped so that it cannot end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def program_in_page(text: str) -> str:
    """Return a program for a script element, escaped so that it cannot end the element."""
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", text, flags=re.IGNORECASE)


def undrawn(texts: Iterable[str]) -> str:
    """Return the characters of some texts that no font of this machine has."""
    unusual = sorted({letter for text in texts for letter in text if ord(letter) > COMMON})
    return "".join(letter for letter in unusual if _is_undrawn(letter))


@functools.cache
def _is_undrawn(letter: str) -> bool:
    return (
        not letter.isspace() and letter.isprintable() and _picture(letter) == _picture(UNASSIGNED)
    )


@functools.cache
def _picture(letter: str) -> bytes:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><text x="4" y="24" '
        f'font-size="20" font-family="{FONTS["sans"]}">{html.escape(letter)}</text></svg>'
    )
    return vl_convert.svg_to_png(svg)

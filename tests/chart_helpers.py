"""What tests read of a chart: its panels, their data, its caption and the texts that are drawn."""

import re
from html import unescape

import vl_convert

from raysweep.figures.layout import VERSION, describe


def joined(title):
    """Return a title of Vega-Lite, whose lines may be a list, as one line."""
    text = title.get("text", "") if isinstance(title, dict) else title
    return text if isinstance(text, str) else " ".join(text)


def caption(chart):
    """Return the caption below a figure."""
    return joined(describe(chart).get("title", ""))


def panels(chart):
    """Return the descriptions of the panels by their titles."""
    return {joined(panel.get("title", "")): panel for panel in describe(chart)["concat"]}


def data(chart, title=None):
    """Return the records of the panel with a title, or of all panels."""
    description = describe(chart)
    shown = [
        panel for panel in description["concat"] if title in (None, joined(panel.get("title", "")))
    ]
    parts = [{"data": description.get("data", {})}, *shown]
    names = dict.fromkeys(name for part in parts for name in _data_names(part))
    return [record for name in names for record in description["datasets"].get(name, [])]


def _data_names(part):
    """Return the names of the data of a description and of its layers."""
    names = [part["data"]["name"]] if "name" in part.get("data", {}) else []
    return names + [name for layer in part.get("layer", []) for name in _data_names(layer)]


def svg(chart):
    """Return a figure as SVG."""
    return vl_convert.vegalite_to_svg(describe(chart), vl_version=VERSION)


def texts(chart):
    """Return the texts that a figure shows, in the order of the drawing, lines joined."""
    return texts_of(svg(chart))


def texts_of(picture):
    """Return the texts of an SVG."""
    drawn = re.findall(r"<text([^>]*)>(.*?)</text>", picture, re.DOTALL)
    whole = [text for style, text in drawn if ' opacity="0"' not in style]
    lines = [re.findall(r"<tspan[^>]*>([^<]*)", text) or [text] for text in whole]
    return [unescape(" ".join(parts)) for parts in lines]

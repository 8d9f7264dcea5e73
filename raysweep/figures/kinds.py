"""Kinds of figures: from a request to a chart, and from a chart to a file."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysweep.errors import SpecError, nearest
from raysweep.figures import (
    curves,
    heatmaps,
    lines,
    parallel,
    paths,
    profiles,
    search_progress,
    seeds,
    slices,
)
from raysweep.figures.drawing import Drawing
from raysweep.figures.heatmap_charts import heatmap_drawing
from raysweep.figures.layout import Description, Figure, compose, describe
from raysweep.figures.line_charts import lines_drawing
from raysweep.figures.parallel_charts import parallel_drawing
from raysweep.figures.rendering import DPI, PICTURES, rendered, undrawn
from raysweep.figures.seed_charts import seeds_drawing
from raysweep.figures.size import named
from raysweep.figures.slice_charts import slice_drawing
from raysweep.figures.two_setting_heatmaps import prepare_heatmap
from raysweep.results.output_file import FIGURES, check_suffix, written_whole
from raysweep.results.sweep_results import SweepResults

# Options that distinguish figures, in the order in which the default name of a file has them.
NAMING = (
    "metric",
    "over",
    "x",
    "y",
    "select",
    "tasks",
    "estimators",
    "log",
    "band",
    "all",
    "size",
    "font",
    "caption",
)
LABELLED = {"select", "tasks", "estimators"}
LOOKS = {"size", "font", "caption"}  # options of every kind, which change its look alone
LONGEST = 120  # letters of a default name, of the 255 bytes that file systems allow


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of figure: its request, and the functions that prepare and draw it.

    Args:
        request: Class of the request, whose fields are the options.
        prepare: Function that returns what a request selects of a sweep's results.
        draw: Function that returns the drawing of what was prepared.
    """

    request: type[Any]
    prepare: Callable[[SweepResults, Any], Any]
    draw: Callable[[Any], Drawing]


KINDS: Mapping[str, Kind] = {
    "curves": Kind(curves.CurvesRequest, curves.prepare, lines_drawing),
    "time": Kind(curves.CurvesRequest, curves.prepare_time, lines_drawing),
    "lines": Kind(lines.LinesRequest, lines.prepare, lines_drawing),
    "heatmap": Kind(heatmaps.HeatmapRequest, prepare_heatmap, heatmap_drawing),
    "parallel": Kind(parallel.ParallelRequest, parallel.prepare, parallel_drawing),
    "slice": Kind(slices.SliceRequest, slices.prepare, slice_drawing),
    "seeds": Kind(seeds.SeedsRequest, seeds.prepare, seeds_drawing),
    "profile": Kind(profiles.ProfileRequest, profiles.prepare, lines_drawing),
    "search": Kind(search_progress.SearchRequest, search_progress.prepare, lines_drawing),
    "paths": Kind(paths.PathsRequest, paths.prepare, lines_drawing),
}


def figure(results: SweepResults, kind: str, options: Mapping[str, Any]) -> Figure:
    """Return a figure of a sweep; the arguments are those of `Results.plot`."""
    return _composed(results, kind, options)[0]


def save(
    results: SweepResults,
    kind: str,
    options: Mapping[str, Any],
    out: str | Path | None = None,
    *,
    dpi: int = DPI,
    warn: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write a figure of a sweep to a file, completely or not at all, and return its path.

    Args:
        results: Results of the sweep.
        kind: Kind of the figure, as in `Results.plot`.
        options: Options of that kind, as in `Results.plot`.
        out: Path of the file, which is replaced if it exists; if None, a name in the working
            directory made of the sweep, the metric or kind, and the options.
        dpi: Pixels per inch of a PNG.
        warn: Function that shows a line on letters that no font of this machine has.

    Raises:
        SpecError: If the figure cannot be drawn or the file cannot be written.
    """
    if out is not None:
        check_suffix(Path(out), FIGURES, field="out")
    suffix = ".png" if out is None else Path(out).suffix.lower()
    drawn = drawn_file(results, kind, options, suffix, dpi=dpi)
    path = Path(drawn.name if out is None else out)
    with written_whole(path, field="out") as aside:
        aside.write_bytes(drawn.content)
    if drawn.note:
        warn(drawn.note)
    return path


@dataclasses.dataclass(frozen=True)
class DrawnFile:
    """Content of a figure's file.

    Args:
        name: Name of the file, made of the sweep, the metric or kind, and the options.
        content: Content of the file.
        note: Line on letters that no font of this machine has; empty if they all are drawn.
    """

    name: str
    content: bytes
    note: str = ""

    def __len__(self) -> int:
        """Return the size of the content."""
        return len(self.content)


def drawn_file(
    results: SweepResults,
    kind: str,
    options: Mapping[str, Any],
    suffix: str,
    *,
    dpi: int = DPI,
) -> DrawnFile:
    """Return the content of a figure's file; for the arguments and errors see `save`.

    Args:
        results: Results of the sweep.
        kind: Kind of the figure.
        options: Options of that kind.
        suffix: Suffix of the file, with its dot.
        dpi: Pixels per inch of a PNG.
    """
    chart, name = _composed(results, kind, options)
    description = describe(chart)
    content = rendered(description, suffix, title=f"{results.sweep}: {kind}", dpi=dpi)
    note = ""
    if suffix in PICTURES and (letters := undrawn(_texts(description))):
        note = (
            f"no font of this machine has {letters[:20]}: they are boxes or blank; install "
            "a font that has them, such as one of Noto's, or write an .svg or .html, which the "
            "fonts of its reader draw"
        )
    return DrawnFile(f"{results.sweep}-{name}{suffix}", content, note)


def _texts(description: Description) -> Iterator[str]:
    """Return all texts of a description."""
    values: list[Any] = [description]
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            values.extend(value.values())
        elif isinstance(value, list | tuple):
            values.extend(value)


def _composed(results: SweepResults, kind: str, options: Mapping[str, Any]) -> tuple[Figure, str]:
    """Return the chart of a figure, and the part of its file's name that no other one has."""
    size = named(options.get("size") or "screen", options.get("font") or "sans")
    drawing, name = _drawn(results, kind, options)
    return compose(drawing, size, caption=options.get("caption", True)), name


def _drawn(results: SweepResults, kind: str, options: Mapping[str, Any]) -> tuple[Drawing, str]:
    """Return the figure, and the part of its file's name that no other figure of the sweep has."""
    if kind not in KINDS:
        raise SpecError(
            f"expected a kind of figure, got {kind!r}{nearest(kind, KINDS)}", field="kind"
        )
    chosen = KINDS[kind]
    known = {field.name for field in dataclasses.fields(chosen.request)} | LOOKS
    for option in options:
        if option not in known:
            raise SpecError(
                f"a figure of kind {kind} has no such option "
                f"(known: {', '.join(sorted(known - LOOKS))})",
                field=option,
            )
    request_options = {option: value for option, value in options.items() if option not in LOOKS}
    prepared = chosen.prepare(results, chosen.request(**request_options))
    metrics = {panel.metric for panel in prepared.panels} if kind == "curves" else set()
    single = metrics.pop() if len(metrics) == 1 else None
    return chosen.draw(prepared), _name(kind, single, options)


def _name(kind: str, single: str | None, options: Mapping[str, Any]) -> str:
    """Return a name that differs where the figures do.

    Args:
        kind: Kind of the figure.
        single: The one metric of its curves, which then replaces the kind.
        options: Options of the figure.
    """
    parts, given = [single or kind], [kind]
    if single in KINDS or (kind != "curves" and options.get("metric") and not options.get("over")):
        parts.append("metric")
    for option in NAMING:
        value = options.get(option)
        if option == "caption":
            value = "no_caption" if value is False else None
        if value in (None, False, (), []) or (option == "metric" and single):
            continue
        values = [str(value)] if isinstance(value, str | bool) else list(map(str, value))
        given.append(f"{option} {values!r}")
        joined = option if value is True else "+".join(values)
        parts.append(f"{option}={joined}" if option in LABELLED else joined)
    whole = "-".join(parts)
    name = re.sub(r"[^\w.+=-]", "_", whole)
    if len(name) <= LONGEST and name == whole.replace(" ", "_") and not _is_ambiguous(parts):
        return name
    return f"{name[:LONGEST]}-{hashlib.sha256(repr((single, given)).encode()).hexdigest()[:6]}"


def _is_ambiguous(parts: Sequence[str]) -> bool:
    """Return whether another figure could have the same parts: some hold what separates parts."""
    labelled = [part.partition("=") for part in parts]
    return any("-" in part for part in parts) or any(
        set("_+=") & set(label) for name, _, label in labelled if name in LABELLED
    )

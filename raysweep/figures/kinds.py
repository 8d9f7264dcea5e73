"""Kinds of figures: from a request to a figure, and from a figure to a file."""

import dataclasses
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from raysweep.errors import SpecError, nearest
from raysweep.figures import (
    curves,
    heatmaps,
    lines,
    parallel,
    paths,
    search_progress,
    seeds,
    time,
    two_setting_heatmaps,
)
from raysweep.figures.matplotlib_backend.curves import draw_curves
from raysweep.figures.matplotlib_backend.lines import draw_setting_lines
from raysweep.figures.matplotlib_backend.parallel import draw_parallel
from raysweep.figures.matplotlib_backend.paths import draw_paths
from raysweep.figures.matplotlib_backend.search_progress import draw_search
from raysweep.figures.matplotlib_backend.seeds import draw_seeds
from raysweep.figures.matplotlib_backend.time import draw_time
from raysweep.figures.matplotlib_backend.two_setting_heatmaps import draw_any_heatmap
from raysweep.figures.sizes import Size, named
from raysweep.figures.style import figure_style
from raysweep.results.output_file import check_folder, written_whole
from raysweep.results.sweep_results import SweepResults

# Options that distinguish figures, in the order in which the default name of a file has them.
NAMING = ("metric", "over", "x", "y", "select", "tasks", "estimators", "log", "band", "size")
LABELLED = {"select", "tasks", "estimators"}
LONGEST = 120  # letters of a default name, of the 255 bytes that file systems allow

# Files have no dates, so that the same results give the same bytes.
UNDATED: Mapping[str, Mapping[str, None]] = {
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of figure: its request, and the functions that prepare and draw it."""

    request: type[Any]
    prepare: Callable[[SweepResults, Any], Any]
    draw: Callable[[Any, Size], Figure]


KINDS: Mapping[str, Kind] = {
    "curves": Kind(curves.CurvesRequest, curves.prepare, draw_curves),
    "heatmap": Kind(
        heatmaps.HeatmapRequest, two_setting_heatmaps.prepare_heatmap, draw_any_heatmap
    ),
    "lines": Kind(lines.LinesRequest, lines.prepare, draw_setting_lines),
    "paths": Kind(paths.PathsRequest, paths.prepare, draw_paths),
    "parallel": Kind(parallel.ParallelRequest, parallel.prepare, draw_parallel),
    "search": Kind(search_progress.SearchRequest, search_progress.prepare, draw_search),
    "seeds": Kind(seeds.SeedsRequest, seeds.prepare, draw_seeds),
    "time": Kind(curves.CurvesRequest, time.prepare, draw_time),
}


def figure(results: SweepResults, kind: str, options: Mapping[str, Any]) -> Figure:
    """Return a figure of a sweep; the arguments are those of `Results.plot`."""
    size = named(options.get("size", "screen"))
    with figure_style(size):
        drawn, _ = _drawn(results, kind, options, size)
        drawn.draw_without_rendering()  # the layout reads the style when it is first drawn
    return drawn


def save(
    results: SweepResults, kind: str, options: Mapping[str, Any], out: str | Path | None = None
) -> Path:
    """Write a figure of a sweep to a file, completely or not at all, and return its path.

    Args:
        results: Results of the sweep.
        kind: Kind of the figure, as in `Results.plot`.
        options: Options of that kind, as in `Results.plot`.
        out: Path of the file, which is replaced if it exists; if None, a name in the working
            directory made of the sweep, the metric or kind, and the options.

    Raises:
        SpecError: If the figure cannot be drawn or the file cannot be written.
    """
    if out is not None:
        _check(Path(out))
    size = named(options.get("size", "screen"))
    buffer = io.BytesIO()
    with figure_style(size):
        drawn, name = _drawn(results, kind, options, size)
        path = Path(out if out is not None else f"{results.sweep}-{name}.png")
        suffix = path.suffix.lower()
        drawn.savefig(buffer, format=suffix[1:], metadata=dict(UNDATED[suffix]))
    with written_whole(path, field="out") as aside:
        aside.write_bytes(buffer.getvalue())
    return path


def _drawn(
    results: SweepResults, kind: str, options: Mapping[str, Any], size: Size
) -> tuple[Figure, str]:
    """Return the figure, and the part of its file's name that no other figure of the sweep has."""
    if kind not in KINDS:
        raise SpecError(
            f"expected a kind of figure, got {kind!r}{nearest(kind, KINDS)}", field="kind"
        )
    chosen = KINDS[kind]
    known = {field.name for field in dataclasses.fields(chosen.request)} | {"size"}
    for option in options:
        if option not in known:
            raise SpecError(
                f"a figure of kind {kind} has no such option (known: {', '.join(sorted(known))})",
                field=option,
            )
    request_options = {option: value for option, value in options.items() if option != "size"}
    prepared = chosen.prepare(results, chosen.request(**request_options))
    metrics = list(prepared.units) if kind == "curves" else []
    single = metrics[0] if len(metrics) == 1 else None
    return chosen.draw(prepared, size), _name(kind, single, options)


def _name(kind: str, single: str | None, options: Mapping[str, Any]) -> str:
    """Return a name that differs where the figures do.

    Args:
        kind: Kind of the figure.
        single: The one metric of its curves, which then replaces the kind.
        options: Options of the figure.
    """
    parts = [single or kind]
    for option in NAMING:
        value = options.get(option)
        if value in (None, False, (), []) or (option == "metric" and single):
            continue
        values = [str(value)] if isinstance(value, str | bool) else list(map(str, value))
        joined = "log" if value is True else "+".join(values)
        parts.append(f"{option}={joined}" if option in LABELLED else joined)
    whole = "-".join(parts)
    name = re.sub(r"[^\w.+=-]", "_", whole)
    if len(name) <= LONGEST and name == whole.replace(" ", "_"):
        return name
    return f"{name[:LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"


def _check(path: Path) -> None:
    """Check that the file can be written, before anything is read."""
    if path.suffix.lower() not in UNDATED:
        raise SpecError(
            f"expected a name that ends in {', '.join(UNDATED)}, got {str(path)!r}", field="out"
        )
    check_folder(path, field="out")

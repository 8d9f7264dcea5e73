"""Commands that draw figures and reports of a stored sweep."""

from typing import Any

import click

from raysweep.cli import complete, remote
from raysweep.cli.options import (
    SELECT,
    SERVER,
    STORE,
    SWEEP,
    SweepCommand,
    given_by,
    label_options,
    store_of,
    warn,
)
from raysweep.cli.output import show


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@SERVER
@click.option(
    "--kind",
    default="curves",
    show_default=True,
    type=click.Choice(
        [
            *("curves", "time", "lines", "heatmap", "parallel"),
            *("slice", "search", "seeds", "profile", "paths"),
        ]
    ),
    help="Kind of figure: metrics over steps (curves), seconds (time) or a setting (lines); a "
    "metric over one or two settings (heatmap), over all (parallel) or over each (slice); the best "
    "so far of a search; the seeds of each cell, or their distribution (profile); or one metric "
    "over another (paths).",
)
@click.option(
    "--metric",
    multiple=True,
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric to show; repeatable for curves, time and lines [default: the metric that "
    "selects].",
)
@SELECT
@label_options
@click.option(
    "--log",
    is_flag=True,
    help="Logarithmic y axes, for curves, time, lines, slice and search.",
)
@click.option(
    "--band",
    type=click.Choice(["sem", "std", "ci"]),
    help="Band around curves, time and lines: standard error, standard deviation or 95 % interval "
    "of the mean [default: sem].",
)
@click.option(
    "--over",
    multiple=True,
    metavar="SETTING",
    help="Setting along the x axis of lines, or along a heatmap's columns; given twice for a "
    "heatmap, the second is along its rows. Repeatable for slice: the settings with a panel.",
)
@click.option(
    "--x",
    multiple=True,
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric along the x axis of paths.",
)
@click.option(
    "--y",
    multiple=True,
    metavar="M",
    shell_complete=complete.metrics,
    help="Metric along the y axis, one for each --x.",
)
@click.option(
    "--all",
    is_flag=True,
    help="Curves and time of every configuration, besides the selected one of each cell.",
)
@click.option(
    "--size",
    type=click.Choice(["screen", "column", "page"]),
    help="Size of the figure: for a screen, or as wide as a column (3.25 in) or a page (6.75 in) "
    "of a paper [default: screen].",
)
@click.option(
    "--font",
    type=click.Choice(["sans", "serif"]),
    help="Letters without or with serifs [default: sans].",
)
@click.option(
    "--no-caption", is_flag=True, help="No caption below the figure, where a paper has its own."
)
@click.option(
    "--dpi",
    type=click.IntRange(36, 1200),
    default=200,
    show_default=True,
    help="Pixels per inch of a .png.",
)
@click.option(
    "--out",
    metavar="FILE",
    help="File to write; it is replaced if it exists. A .png, .pdf or .svg is a picture, an .html "
    "an interactive page, a .json the figure's Vega-Lite description [default: a .png named by "
    "the sweep, the metric or kind, and the options].",
)
def plot(
    sweep: str, store: str | None, server: str | None, kind: str, out: str | None, **options: Any
) -> int:
    """Draw a figure of a sweep's results."""
    dpi = options.pop("dpi")
    given = {name: value for name, value in options.items() if value}
    if given.pop("no_caption", False):
        given["caption"] = False
    if service := remote.service(store, server):
        return remote.plot(service, sweep, kind, out, {**given, "dpi": dpi})
    from raysweep.api import Results
    from raysweep.figures.kinds import save

    results = Results(store_of(store), sweep)
    warn(results)
    path = save(results, kind, given, out, dpi=dpi, warn=lambda line: show(line, err=True))
    show(str(path))
    return 0


@click.command(cls=SweepCommand)
@SWEEP
@STORE
@SERVER
@SELECT
@click.option(
    "--out",
    metavar="FILE",
    help="File to write, an .html; it is replaced if it exists [default: SWEEP.html].",
)
def report(
    sweep: str, store: str | None, server: str | None, select: str | None, out: str | None
) -> int:
    """Write everything about a sweep into one HTML file that needs no network."""
    if service := remote.service(store, server):
        with given_by(path="out"):
            return remote.report(service, sweep, out, select)
    from raysweep.api import Results

    results = Results(store_of(store), sweep)
    warn(results)
    with given_by(path="out"):
        show(str(results.report(out, select=select)))
    return 0

"""Types of the options of figures, for editors and type checkers."""

from collections.abc import Sequence
from typing import Literal, TypedDict

Kind = Literal[
    "curves",
    "time",
    "lines",
    "heatmap",
    "parallel",
    "slice",
    "search",
    "seeds",
    "profile",
    "paths",
]


class PlotOptions(TypedDict, total=False):
    """Options of `Results.plot`.

    Args:
        select: Metric that selects the configuration of each cell.
        tasks: Labels of the tasks to show.
        estimators: Labels of the estimators to show.
        columns: Another name of `tasks`, as in tables.
        rows: Another name of `estimators`, as in tables.
        methods: Another name of `estimators`, as in tables.
        size: Size for a screen, or a column or a page of a paper.
        font: Letters without or with serifs.
        caption: Whether to write the caption below the figure.
        all: Whether curves and time have a line for every configuration.
        metric: Metric to show, or several for curves, time and lines.
        log: Whether y axes are logarithmic, for curves, time, lines, slice and search.
        band: Band around curves: standard error, standard deviation, or 95 % interval.
        over: One or two settings along the axes of a heatmap; one along the x axis of lines; any
            number for slice, a panel for each.
        x: Metric, or metrics, along the x axis of paths.
        y: Metric, or metrics, along the y axis of paths.
    """

    select: str | None
    tasks: str | Sequence[str]
    estimators: str | Sequence[str]
    columns: str | Sequence[str]
    rows: str | Sequence[str]
    methods: str | Sequence[str]
    size: Literal["screen", "column", "page"]
    font: Literal["sans", "serif"]
    caption: bool
    all: bool
    metric: str | Sequence[str] | None
    log: bool
    band: Literal["sem", "std", "ci"]
    over: str | Sequence[str]
    x: str | Sequence[str]
    y: str | Sequence[str]

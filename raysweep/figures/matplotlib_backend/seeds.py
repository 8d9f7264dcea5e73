"""Seeds of selected configurations, drawn with matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from raysweep.figures import style
from raysweep.figures.matplotlib_backend import panels
from raysweep.figures.seeds import BEYOND, SeedsFigure, SeedsPanel, SeedsRow
from raysweep.figures.sizes import Size, plain
from raysweep.figures.statistics import INTERVAL
from raysweep.figures.style import ShownFigure
from raysweep.text import counted

GOLDEN = 0.6180339887498949  # fractions of its multiples are evenly spread, however many there are
HALF = 0.3  # largest distance of dots from the middle of their row, in rows


def draw_seeds(prepared: SeedsFigure, size: Size) -> Figure:
    """Draw a panel for each task, a row for each estimator: dots, the mean and its interval."""
    beside = 1.9 if size.width is None else size.width * 0.28
    names = [size.wrapped(estimator, beside) for estimator in prepared.estimators]
    letters = max(len(line) for name in names for line in name.split("\n"))
    labels = 0.25 + size.label * letters
    columns = _columns(len(prepared.panels), labels, size)
    rows = -(-len(prepared.panels) // columns)
    width = size.width or max(5.4, labels + 2.6 * columns)
    caption = size.wrapped(_caption(prepared), width)
    row_height = max(0.36, size.line * 0.8 * (1 + max(name.count("\n") for name in names)))
    panel_width = (width - labels) / columns
    titles = [size.titled(panel.task, panel_width - 0.1) for panel in prepared.panels]
    head = size.line * (1 + max(title.count("\n") for title in titles))
    height = rows * (row_height * len(names) + head + 0.42) + 0.2
    height += size.line * (caption.count("\n") + 1.5)
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, panel in enumerate(prepared.panels):
        panel_axes = axes[divmod(index, columns)]
        _panel(panel_axes, panel, prepared, size)
        panel_axes.set_title(titles[index])
        labels_shown = names if index % columns == 0 else [""] * len(names)
        panel_axes.set_yticks(range(len(names)), labels_shown)
        if index + columns >= len(prepared.panels):
            label = style.axis_label(prepared.metric, prepared.unit)
            panel_axes.set_xlabel(size.wrapped(label, panel_width))
    panels.hide_empty([list(row) for row in axes])
    figure.supxlabel(caption, fontsize=size.small)
    return figure


def _columns(count: int, labels: float, size: Size) -> int:
    """Return the number of panels in a row, such that each is at least 1.15 inches wide."""
    columns = size.columns_for(count)
    if size.width is not None:
        columns = min(columns, max(1, int((size.width - labels) / 1.15)))
    return columns


def _panel(axes: Axes, panel: SeedsPanel, prepared: SeedsFigure, size: Size) -> None:
    rows = {row.estimator: row for row in panel.rows}
    same = _same_number(prepared)
    for index, name in enumerate(prepared.estimators):
        if name not in rows:
            continue
        row = rows[name]
        note = _note(row, same)
        if len(row.values):
            _row(axes, row, index)
        if note:
            axes.text(
                0.99,
                index - HALF - 0.02,
                plain(note),
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=size.small - 1,
                color="#666666",
            )
    axes.set_ylim(len(prepared.estimators) - 0.45, -0.55)
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4 if size.width is None else 3))
    axes.margins(x=0.06)
    if panel.limits:
        _clip(axes, panel, list(prepared.estimators))
    if not any(len(row.values) for row in panel.rows):
        axes.set_xticks([])


def _clip(axes: Axes, panel: SeedsPanel, estimators: list[str]) -> None:
    """Limit the axis, with an arrow where an interval reaches beyond it."""
    low, high = panel.limits or (0.0, 1.0)
    axes.set_xlim(low, high)
    for row in panel.rows:
        height = estimators.index(row.estimator)
        for end, sign, marker in ((low, -1, "<"), (high, 1, ">")):
            if sign * (row.low if sign < 0 else row.high) > sign * end:
                axes.plot(end, height, marker, color="black", markersize=5, clip_on=False, zorder=5)


def _row(axes: Axes, row: SeedsRow, index: int) -> None:
    colour = style.colour(row.index)
    many = bool(row.box)
    spread = (np.arange(1, len(row.values) + 1) * GOLDEN % 1 - 0.5) * 2 * HALF
    axes.plot(
        row.values,
        index + (spread if len(row.values) > 1 else 0),
        linestyle="",
        marker="o",
        markersize=2.5 if many else 3.5,
        markeredgewidth=0,
        color=colour,
        alpha=0.3 if many else 0.55,
        zorder=2,
    )
    if many:
        least, first, middle, third, most = row.box
        box = Rectangle(
            (first, index - HALF), third - first, 2 * HALF, facecolor=colour, alpha=0.2, zorder=1
        )
        axes.add_patch(box)
        axes.plot([middle] * 2, [index - HALF, index + HALF], color=colour, linewidth=1, zorder=3)
        axes.plot([least, most], [index] * 2, color=colour, linewidth=0.7, zorder=1)
    if np.isfinite(row.low):
        axes.plot([row.low, row.high], [index] * 2, color="black", linewidth=1.4, zorder=4)
    if np.isfinite(row.mean):
        face = "white" if row.status == "provisional" else "black"
        axes.plot(row.mean, index, "D", markersize=4, color="black", markerfacecolor=face, zorder=5)


def _same_number(prepared: SeedsFigure) -> int | None:
    """Return the number of seeds of the final rows if all have the same number, else None."""
    counts = {
        len(row.values)
        for panel in prepared.panels
        for row in panel.rows
        if row.status == "selected"
    }
    return counts.pop() if len(counts) == 1 else None


def _note(row: SeedsRow, same: int | None) -> str:
    if row.status == "provisional":
        return f"? n = {len(row.values)}"
    if row.status == "selected":
        return "" if same is not None else f"n = {len(row.values)}"
    return f"{row.status}, n = {len(row.values)}" if len(row.values) else row.status


def _caption(prepared: SeedsFigure) -> str:
    rows = [row for panel in prepared.panels for row in panel.rows]
    same = _same_number(prepared)
    seeds = f"of {counted(same, 'seed')}" if same is not None else "seed"
    has_intervals = any(np.isfinite(row.low) for row in rows)
    return style.sentence(
        [
            f"{prepared.sweep}: a dot for each {seeds}, a diamond at the mean"
            + (f" with its {INTERVAL}" if has_intervals else ""),
            "boxes: the middle half with the median, whiskers from the 5th to the 95th percentile"
            if any(row.box for row in rows)
            else "",
            BEYOND if any(panel.limits for panel in prepared.panels) else "",
            prepared.selection,
            "hollow (?): provisional, n seeds so far"
            if any(row.status == "provisional" for row in rows)
            else "",
        ]
    )

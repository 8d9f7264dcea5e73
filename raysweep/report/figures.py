"""Figures of the report: the drawings of `raysweep plot`, with controls to choose among them."""

import dataclasses
import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pyarrow as pa

from raysweep.errors import SpecError
from raysweep.figures.drawing import (
    ROW,
    Drawing,
    PanelChart,
    Records,
    axis_label,
    placeholder,
    sentence,
    unvalidated,
)
from raysweep.figures.heatmaps import has_settings
from raysweep.figures.kinds import KINDS
from raysweep.figures.scope import curve_metrics
from raysweep.figures.thinning import evenly
from raysweep.formats.grid import Grid, row
from raysweep.report.parts import Figure, Plot, choices, packed
from raysweep.results.selection import Selection
from raysweep.results.snapshot import Snapshot

HEIGHT = 260  # pixels of a panel of lines
SCALE = 1.35  # pixels of a page for each point of a drawing's own height
POINTS = 20_000  # in all lines of a figure together: about 1 MB
FEWEST = 40  # least points of a line, however many lines there are
MOST_SETTINGS = 8  # settings with a heatmap
MOST_VIEWS = 300  # drawings over two settings

CHOSEN = alt.selection_point(name="rows", fields=[ROW])  # by a click on a mark
TOO_FEW_SETTINGS = (
    "needs two searched settings, and no row of this sweep has them; "
    "give another setting a list of values"
)

Option = tuple[str, Mapping[str, Any]]  # text of a control's option, and options of the request


def report_figures(
    results: Snapshot, select: str, metrics: Sequence[str], selections: Sequence[Selection]
) -> tuple[Figure, ...]:
    """Return the figures in the order of the page.

    Args:
        results: Results of the sweep.
        select: Metric that selects.
        metrics: Metrics of the tables, in their order.
        selections: Selected configurations, whose runs are drawn.
    """
    units = {name: about["unit"] for name, about in results.spec.metrics.items()}
    named: list[Option] = [(axis_label(name, units[name]), {"metric": name}) for name in metrics]
    settings = list(dict.fromkeys(key for arm in results.spec.arms for key in arm.searched))
    pairs = [
        pair
        for pair in itertools.combinations(settings, 2)
        if any(has_settings(arm, pair) for arm in results.spec.arms)
    ]
    most_pairs = max(1, MOST_VIEWS // max(1, len(results.spec.arms)))
    build = _Builder(results, select)
    over: list[Option] = [(name, {"over": name}) for name in settings[:MOST_SETTINGS]]
    two: list[Option] = [(" × ".join(pair), {"over": pair}) for pair in pairs[:most_pairs]]
    nothing: list[Option] = [("", {})]
    return (
        _curves(build, metrics, selections),
        build.figure("seeds", "Distribution over seeds", ("Metric", named)),
        build.figure("profile", "Empirical distribution", ("Metric", named)),
        build.figure("time", "Time against quality", ("Metric", nothing), log=True),
        build.figure("search", "Best so far of the search", ("Metric", nothing), log=True),
        build.figure("heatmap", "Over one setting", ("Setting", over or nothing)),
        _two_settings(build, two, len(pairs)),
        build.figure("slice", "Each configuration", ("Metric", nothing), log=True),
        build.figure("parallel", "Parallel coordinates", ("Metric", nothing)),
    )


def _curves(build: "_Builder", metrics: Sequence[str], selections: Sequence[Selection]) -> Figure:
    """Return the learning curves of every metric that has some."""
    results = build.results
    known = [*metrics, *sorted(set(results.spec.metrics) - set(metrics))]
    run_ids = [key for chosen in selections for key in chosen.cell(build.select).run_ids]
    having = curve_metrics(results, run_ids, known) if run_ids else []
    most = max(1, 2 * POINTS // (FEWEST * max(1, len(selections))))
    units = {name: results.spec.metrics[name]["unit"] for name in having}
    options: list[Option] = [
        (axis_label(name, units[name]), {"metric": name}) for name in having[:most]
    ]
    left = f"{most} of {len(having)} metrics with curves" if len(having) > most else ""
    return build.figure(
        "curves", "Training curves", ("Metric", options or [("", {})]), log=True, note=left
    )


def _two_settings(build: "_Builder", options: Sequence[Option], pairs: int) -> Figure:
    if not options:
        return Figure("two-settings", "Over two settings", missing=TOO_FEW_SETTINGS)
    left = f"{len(options)} of {pairs} pairs of settings" if len(options) < pairs else ""
    return build.figure(
        "heatmap",
        "Over two settings",
        ("Settings", options),
        name="two-settings",
        note=left,
    )


class _Builder:
    """Figures of one sweep.

    Args:
        results: Results of the sweep.
        select: Metric that selects.
    """

    def __init__(self, results: Snapshot, select: str) -> None:
        self.results, self.select = results, select

    def figure(
        self,
        kind: str,
        title: str,
        options: tuple[str, Sequence[Option]],
        *,
        name: str = "",
        note: str = "",
        log: bool = False,
    ) -> Figure:
        """Return the figure of a kind with a control, or the reason why it cannot be drawn.

        Args:
            kind: Kind of the figure.
            title: Heading of the figure.
            options: Label of the control, and its options.
            name: Name of the figure; that of the kind if empty.
            note: Text that is added to the captions.
            log: Whether the reader can make the y axes logarithmic.
        """
        name = name or kind
        drawings: dict[str, Drawing] = {}
        problem = ""
        for text, more in options[1]:
            try:
                drawings[text] = self._drawing(kind, more)
            except SpecError as error:
                problem = problem or error.text
        if kind in ("curves", "time"):
            drawings, is_thin = _thinned(drawings)
            thin = f"lines are thinned to {POINTS:,} points in all" if is_thin else ""
            note = sentence([note, thin])
        if not drawings:
            return Figure(name, title, missing=problem)
        control = choices(f"{name}-choice", options[0], list(drawings))
        shown = {str(index): drawing for index, drawing in enumerate(drawings.values())}
        texts = {
            key: (_caption(drawing, note), _numbers(title, drawing))
            for key, drawing in shown.items()
        }
        legend = dict(row for drawing in drawings.values() for row in drawing.rows)
        plots, views = _plots(name, shown)
        pa.default_memory_pool().release_unused()  # of curves
        return Figure(
            name,
            title,
            plots,
            packed(views),
            (control,),
            texts,
            tuple(sorted(legend.items())),
            log=log,
        )

    def _drawing(self, kind: str, options: Mapping[str, Any]) -> Drawing:
        chosen = KINDS[kind]
        prepared = chosen.prepare(self.results, chosen.request(select=self.select, **options))
        return chosen.draw(prepared)


def _caption(drawing: Drawing, note: str) -> str:
    return sentence([drawing.caption, note])


def _numbers(title: str, drawing: Drawing) -> Grid:
    rows = tuple(row(list(cells)) for cells in drawing.numbers.rows)
    return Grid(f"{title}: numbers", drawing.numbers.head, rows)


def _plots(
    name: str, drawings: Mapping[str, Drawing]
) -> tuple[tuple[Plot, ...], dict[str, dict[str, Any]]]:
    """Return a plot for each title of a panel, and its views in every drawing, by its name."""
    by_title: dict[str, dict[str, PanelChart]] = {}
    for key, drawing in drawings.items():
        for panel in drawing.panels:
            by_title.setdefault(panel.title, {})[key] = panel
    plots, every_view = [], {}
    for index, (title, panels) in enumerate(by_title.items()):
        heights = [panel.height for panel in panels.values() if panel.height is not None]
        height = round(SCALE * max(heights)) if heights else HEIGHT
        every_view[f"{name}-{index}"] = {
            key: _view(panels.get(key) or PanelChart(title, placeholder("not for this choice"), {}))
            for key in drawings
        }
        plots.append(Plot(f"{name}-{index}", title, height))
    return tuple(plots), every_view


def _view(panel: PanelChart) -> dict[str, Any]:
    """Return the description of a panel; its data are columns, which take less room."""
    with unvalidated():
        has_rows = any(ROW in record for data in panel.data.values() for record in data[:1])
        description = panel.draw(True, True).describe(*([CHOSEN] if has_rows else []))
    columns = {name: _columns(records) for name, records in panel.data.items()}
    return {"spec": description, "data": columns}


def _thinned(drawings: Mapping[str, Drawing]) -> tuple[dict[str, Drawing], bool]:
    """Return drawings of lines with about `POINTS` points in all, and whether points are left out.

    Points are evenly spaced along each line, from the first to the last.
    """
    lines = sum(
        len(_lines(records))
        for drawing in drawings.values()
        for panel in drawing.panels
        for records in panel.data.values()
    )
    most = max(FEWEST, POINTS // max(1, lines))
    is_thin = False

    def thin(records: Records) -> Records:
        nonlocal is_thin
        kept: Records = []
        for line in _lines(records):
            is_thin = is_thin or most < len(line)
            kept += [line[index] for index in evenly(len(line), most).tolist()]
        return kept

    def panel_of(panel: PanelChart) -> PanelChart:
        data = {name: thin(records) for name, records in panel.data.items()}
        return dataclasses.replace(panel, data=data)

    thinner = {
        key: dataclasses.replace(drawing, panels=tuple(map(panel_of, drawing.panels)))
        for key, drawing in drawings.items()
    }
    return thinner, is_thin


def _lines(records: Records) -> list[Records]:
    """Return the records of each line."""
    keys = operator.itemgetter(ROW, "line")
    return [list(line) for _, line in itertools.groupby(records, keys)]


def _columns(records: Records) -> dict[str, list[Any]]:
    """Return records as columns; a column with one value in all records has it once."""
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return {
        name: values[:1] if len(set(map(repr, values))) == 1 and len(values) > 1 else values
        for name, values in columns.items()
    } | {"": [len(records)]}

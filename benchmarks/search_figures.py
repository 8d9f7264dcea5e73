"""The figures of `benchmarks.search`."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import altair as alt
import numpy as np

from benchmarks.searches import Found
from raysweep.figures.drawing import records
from raysweep.figures.size import DASHES, SCREEN, colour, look

LINES = {
    "random": "#777777",
    "qmc": colour(3),
    "tpe": colour(0),
    "gp": colour(1),
    "cmaes": colour(2),
}
NAMES = {"random": "random", "qmc": "qmc", "tpe": "TPE", "gp": "GP", "cmaes": "CMA-ES"}
PATTERNS = {
    "random": DASHES[2],
    "qmc": DASHES[3],
    "tpe": DASHES[1],
    "gp": DASHES[0],
    "cmaes": DASHES[4],
}
Figures = Mapping[str, Sequence[Found]]
Drawn: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart


def _data(rows: list[dict[str, object]]) -> alt.InlineData:
    return alt.InlineData(values=rows)


def _styled(chart: Drawn, title: str, width: int, height: int) -> Drawn:
    """The chart in raysweep's style."""
    return chart.properties(title=title, width=width, height=height).configure(**look(SCREEN))


def _sampler(legend: alt.Legend | None) -> alt.Color:
    scale = alt.Scale(domain=[NAMES[name] for name in LINES], range=list(LINES.values()))
    return alt.Color("sampler:N", scale=scale, legend=legend)


def regret(found: Figures) -> Drawn:
    """Median regret over the configurations tried, with quartiles for two samplers."""
    rows = []
    for name in LINES:
        paths = np.array([each.path for each in found[name]])
        low, middle, high = np.nanquantile(paths, (0.25, 0.5, 0.75), axis=0)
        tried = np.arange(1, len(middle) + 1)
        bands = {"low": low, "high": high} if name in ("random", "gp") else {}
        rows += records(sampler=NAMES[name], tried=tried, median=middle, **bands)
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    axis = alt.Axis(values=ticks, format="~g", title="true regret of the selected configuration")
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(
            "tried:Q",
            title="configurations tried, 3 seeds each",
            scale=alt.Scale(zero=False, nice=False, padding=4),
        ),
        color=_sampler(alt.Legend(title=None)),
    )
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"
    )
    dashes = [list(PATTERNS[name]) for name in LINES]
    dash = alt.Scale(domain=[NAMES[name] for name in LINES], range=dashes)
    line = base.mark_line(strokeWidth=1.7).encode(
        y=alt.Y("median:Q", scale=scale, axis=axis),
        strokeDash=alt.StrokeDash("sampler:N", scale=dash, legend=alt.Legend(title=None)),
    )
    title = f"Median of {len(found['random'])} repetitions (bands: quartiles)"
    return _styled(alt.layer(band, line), title, 360, 210)


def biases(found: Sequence[Found]) -> tuple[list[float], list[float]]:
    """Value less truth, for the searched seeds and for the fresh ones."""
    fresh = [each.reported - each.regret for each in found if each.reported is not None]
    return [each.searched - each.regret for each in found], fresh


def bias(found: Figures) -> Drawn:
    """How far the shown value is from the truth, for each sampler."""
    random = np.random.default_rng(0)
    kinds = ("seeds of the search", "fresh seeds")
    dots, means = [], []
    for name in LINES:
        for kind, values in zip(kinds, biases(found[name]), strict=True):
            shift = random.uniform(-0.1, 0.1, len(values)) + (0.19 if kind == kinds[1] else -0.19)
            dots += records(sampler=NAMES[name], kind=kind, value=values, shift=shift)
            error = 2 * np.std(values, ddof=1) / np.sqrt(len(values))
            middle = float(np.mean(values))
            means += records(
                sampler=NAMES[name],
                kind=kind,
                value=[middle],
                low=[middle - error],
                high=[middle + error],
                shift=0.19 if kind == kinds[1] else -0.19,
            )
    x = alt.X("sampler:N", title=None, sort=list(NAMES.values()), axis=alt.Axis(labelAngle=0))
    offset = alt.XOffset("shift:Q", scale=alt.Scale(domain=[-0.5, 0.5]))
    scale = alt.Scale(domain=list(kinds), range=[colour(1), colour(0)])
    legend = alt.Legend(title=None, symbolStrokeWidth=0, symbolSize=60)
    color = alt.Color("kind:N", scale=scale, legend=legend)
    shapes = alt.Scale(domain=list(kinds), range=["square", "circle"])
    shape = alt.Shape("kind:N", scale=shapes, legend=legend)
    y = alt.Y("value:Q", title="value shown − truth", scale=alt.Scale(nice=False, padding=6))
    points = alt.Chart(_data(dots)).mark_point(filled=True, size=10, opacity=0.3)
    centres = alt.Chart(_data(means))
    chart = alt.layer(
        alt.Chart(_data([{"value": 0}])).mark_rule(style="ink").encode(y="value:Q"),
        points.encode(x=x, xOffset=offset, color=color, y=y),
        centres.mark_rule(style="ink").encode(x=x, xOffset=offset, y=alt.Y("low:Q"), y2="high:Q"),
        centres.mark_point(filled=True, size=40, opacity=1, stroke="black", strokeWidth=0.8).encode(
            x=x, xOffset=offset, color=color, shape=shape, y=y
        ),
    )
    title = "What is shown of the selected configuration (mean ± 2 standard errors)"
    return _styled(chart, title, 360, 190)


def savings(found: Figures, pairs: Mapping[str, str]) -> Drawn:
    """The change of the regret against the share of the steps that early stopping leaves."""
    rows = []
    for label, base in pairs.items():
        mine, theirs = found[label], found[base]
        change = np.array([a.regret - b.regret for a, b in zip(mine, theirs, strict=True)])
        share = sum(each.steps for each in mine) / sum(each.steps for each in theirs)
        error = 2 * np.std(change, ddof=1) / np.sqrt(len(change))
        sampler, _, how = label.partition(", ")
        middle = float(np.mean(change))
        rows += records(
            label=f"{NAMES[sampler]}, {how}: {share:.0%} of the steps",
            sampler=NAMES[sampler],
            mean=[middle],
            low=[middle - error],
            high=[middle + error],
        )
    order = [row["label"] for row in rows]
    title = "regret with early stopping − without (mean ± 2 standard errors)"
    scale = alt.Scale(nice=False, padding=6)
    base_chart = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", title=None, sort=order, axis=alt.Axis(labelLimit=0, labelFlush=False)),
        color=_sampler(None),
    )
    chart = alt.layer(
        alt.Chart(_data([{"mean": 0}])).mark_rule(style="ink").encode(x="mean:Q"),
        base_chart.mark_rule(strokeWidth=1.4).encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6)), x2="high:Q"
        ),
        base_chart.mark_point(filled=True, size=40, opacity=1).encode(
            x=alt.X("mean:Q", title=title)
        ),
    )
    return _styled(chart, "Early stopping: change of the true regret, and steps used", 330, 240)

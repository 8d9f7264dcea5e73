"""Charts of performance profiles: step lines with bands."""

from typing import Any

import altair as alt
import numpy as np

from raysweep.figures.drawing import (
    BAND,
    HOVER,
    LINE,
    PALE,
    Chart,
    Drawing,
    Numbers,
    PanelChart,
    Records,
    Rows,
    axis_label,
    band_tips,
    opacity,
    placeholder,
    records,
    row_tip,
    sentence,
    zoom,
)
from raysweep.figures.profiles import QUARTERS, ProfileFigure, Share
from raysweep.text import some

SCORE = ["normalised score", "(0 worst, 1 best)"]  # lines of a title


def profile_drawing(prepared: ProfileFigure) -> Drawing:
    """Return the drawing of profiles: a panel for each task, a line with a band for each row."""
    profiles = [profile for panel in prepared.panels for profile in panel.profiles]
    rows = Rows.of(profiles)
    panels = tuple(_panel(prepared, index, rows) for index in range(len(prepared.panels)))
    return Drawing(panels, _caption(prepared), _numbers(prepared), rows=rows.entries)


def _panel(prepared: ProfileFigure, index: int, rows: Rows) -> PanelChart:
    panel, name = prepared.panels[index], f"profile-{index}"
    if not panel.profiles:
        return PanelChart(panel.title, placeholder("no value"), {})
    data: Records = []
    for profile in panel.profiles:
        data += records(
            x=profile.x,
            share=profile.share,
            low=profile.low,
            high=profile.high,
            n=profile.runs,
            state="provisional" if profile.provisional else "selected",
            row=rows.texts[profile.index],
            opacity=PALE if profile.provisional else 1.0,
        )
    title: Any = SCORE if panel.counts == "above" else axis_label(prepared.metric, prepared.unit)

    def draw(x_title: bool, y_title: bool) -> Chart:
        scale = alt.Scale(zero=False, nice=False)
        x = alt.X("x:Q", title=title, scale=scale, axis=alt.Axis(tickCount=4))
        return _chart(name, rows, (x, "fraction of runs" if y_title else None), panel.counts)

    return PanelChart(panel.title, draw, {name: data})


def _chart(name: str, rows: Rows, axes: tuple[alt.X, str | None], counts: Share) -> Chart:
    x, y_title = axes
    step: Any = "step-before" if counts == "at least" else "step-after"
    scale = alt.Scale(domain=[-0.02, 1.02], nice=False)
    axis = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2~f", title=y_title)
    base = alt.Chart(alt.NamedData(name)).encode(x=x, color=rows.color)
    area = base.mark_area(**BAND, interpolate=step)
    over = base.encode(y=alt.Y("share:Q", scale=scale, axis=axis), opacity=opacity())
    line = over.mark_line(**LINE, interpolate=step)
    tips = [
        row_tip(),
        alt.Tooltip("x:Q", title=counts, format=".6g"),
        alt.Tooltip("share:Q", title="fraction", format=".6g"),
        *band_tips(),
        alt.Tooltip("n:Q", title="runs"),
        alt.Tooltip("state:N"),
    ]
    points = over.mark_point(**HOVER)
    return alt.layer(
        area.encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
        line.encode(strokeDash=rows.dash),
        points.encode(tooltip=tips),
    ).add_params(zoom(name))


def _numbers(prepared: ProfileFigure) -> Numbers:
    reach = [f"{100 * quarter:.0f} % of runs reach" for quarter in QUARTERS]
    head = ("row", "task", *reach, "runs", "state")
    rows = [
        (
            profile.estimator,
            panel.title,
            *(f"{value:.6g}" for value in profile.quarters),
            str(profile.runs),
            "provisional" if profile.provisional else "selected",
        )
        for panel in prepared.panels
        for profile in panel.profiles
    ]
    return Numbers.of(head, rows)


def _caption(prepared: ProfileFigure) -> str:
    tasks = [panel for panel in prepared.panels if panel.counts != "above"]
    profiles = [profile for panel in prepared.panels for profile in panel.profiles]
    is_normalised = len(tasks) < len(prepared.panels)
    has_bands = any(np.isfinite(profile.low).any() for profile in profiles)
    return sentence(
        [
            f"{prepared.sweep}: fraction of runs that end with {prepared.metric} "
            f"{tasks[0].counts} x",
            "all tasks: mean over tasks of the fraction of runs with a score above x, which is "
            "0 at the worst and 1 at the best value of the task over all rows shown"
            if is_normalised
            else "",
            "band: pointwise 95 % percentile bootstrap over seeds"
            + (" within tasks" if is_normalised else "")
            + ", from five seeds"
            if has_bands
            else "",
            prepared.selection,
            "pale (?): provisional" if any(profile.provisional for profile in profiles) else "",
            f"no profile: {some(prepared.without)}" if prepared.without else "",
            f"not in all tasks: {some(prepared.partial)}" if prepared.partial else "",
            f"all values are equal on {some(prepared.equal)}"
            if prepared.equal and is_normalised
            else "",
        ]
    )

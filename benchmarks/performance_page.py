"""The figures of a measurement, as lines in a terminal, and as table and figure of a page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import altair as alt

DOCS = Path(__file__).parent.parent / "docs"
PAGE, FIGURE = DOCS / "performance.md", DOCS / "figures" / "performance.png"
MARKS = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"
MIB = 2**20
Figures = Mapping[str, Any]


def lines_of(workload: Figures) -> Iterator[str]:
    """Yield the lines of one workload for a terminal."""
    yield f"{workload['workload']}: {work_of(workload)}"
    own = _seconds(workload).get("raysweep")
    for side in workload["sides"]:
        ratio = "" if own is None else f", {side['seconds'] / own:.2f} of raysweep"
        share = side["training_share_of_limit"] or side["share_of_limit"]
        limit = "" if share is None else f", {share:.0%} of the limit"
        timed = "" if side["timed"] == workload["runs"] else f", from {side['timed']} runs"
        yield (
            f"  {side['side']:21s} {side['seconds']:7.1f} s{ratio}; {side['steps_per_s']:,.0f} "
            f"steps/s, {side['runs_per_minute']:,.0f} runs/min, {side['peak'] / MIB:,.0f} MiB, "
            f"{side['busy']:.0%} busy{limit}{timed}"
        )


def work_of(workload: Figures) -> str:
    """Return what was done, in words."""
    steps = "" if workload["steps"] == 1 else f" of {workload['steps']:,} steps"
    return f"{workload['title']}: {workload['runs']:,} runs{steps}"


def _seconds(workload: Figures) -> dict[str, float]:
    return {side["side"]: side["seconds"] for side in workload["sides"]}


def table_of(found: Figures) -> Iterator[str]:
    """Yield the lines of the table: times, ratios, and what raysweep uses."""
    sides = [side["side"] for workload in found["workloads"] for side in workload["sides"]]
    others = [side for side in dict.fromkeys(sides) if side != "raysweep"]
    yield (
        f"| workload | raysweep | {' | '.join(others)} | replica-steps/s | runs/min | peak memory "
        "| processors busy | of the limit |"
    )
    yield "| --- |" + " ---: |" * (len(others) + 6)
    for workload in found["workloads"]:
        by_side = {side["side"]: side for side in workload["sides"]}
        own = by_side["raysweep"]
        cells = [
            _ratio(by_side[side], own, workload["runs"]) if side in by_side else "–"
            for side in others
        ]
        share = own["training_share_of_limit"]
        yield (
            f"| {work_of(workload)} | {own['seconds']:.1f} s | {' | '.join(cells)} | "
            f"{own['steps_per_s']:,.0f} | {own['runs_per_minute']:,.0f} | "
            f"{own['peak'] / MIB:,.0f} MiB | {own['busy']:.0%} | "
            f"{'–' if share is None else f'{share:.0%}'} |"
        )


def _ratio(side: Figures, own: Figures, runs: int) -> str:
    mark = "" if side["timed"] == runs else "*"
    return f"{side['seconds']:,.0f} s{mark}, {side['seconds'] / own['seconds']:.2g}×"


def figure_of(found: Figures) -> alt.Chart:
    """Return the chart of times relative to raysweep's, a panel for each workload."""
    rows = [
        {"workload": each["title"], "side": side, "times": seconds / own}
        for each in found["workloads"]
        if (own := _seconds(each).get("raysweep")) is not None
        for side, seconds in _seconds(each).items()
    ]
    order = list(dict.fromkeys(row["side"] for row in rows))
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X(
                "times:Q",
                scale=alt.Scale(type="log"),
                title="time, in times raysweep's",
                axis=alt.Axis(values=[0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]),
            ),
            y=alt.Y("workload:N", sort=None, title=None, axis=alt.Axis(labelLimit=400)),
            color=alt.Color("side:N", scale=alt.Scale(domain=order), title=None),
            shape=alt.Shape("side:N", scale=alt.Scale(domain=order), title=None),
        )
        .properties(width=420)
    )


def write_page(found: Figures) -> None:
    """Write the table, with the machine, and the figure into the page."""
    text = PAGE.read_text()
    begin, end = MARKS
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    table = "\n".join([f"{found['machine']}:", "", *table_of(found)])
    PAGE.write_text(f"{before}{begin}{table}\n{end}{after}")
    figure_of(found).save(FIGURE, ppi=144)

"""Time against quality: the lines of learning curves over the seconds that runs have trained."""

import dataclasses

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import curves
from raysweep.figures.curves import CurvesFigure, CurvesRequest, Line
from raysweep.figures.scope import Curve, Numbers, read_curves
from raysweep.results.sweep_results import SweepResults


@dataclasses.dataclass(frozen=True)
class TimeFigure:
    """Curves, and when they were where.

    Args:
        curves: With their panels and lines.
        seconds: Of each panel's lines, `T` each: the mean over seeds of a run's share of its
            pack's time up to each step; NaN where none is known.
    """

    curves: CurvesFigure
    seconds: tuple[tuple[Numbers, ...], ...]


def prepare(results: SweepResults, request: CurvesRequest) -> TimeFigure:
    """The curves of a sweep over time.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    what = curves.prepare(results, request)
    lines = [line for panel in what.panels for line in panel.lines]
    times = read_curves(results, [each for line in lines for each in line.run_ids], ["seconds"])
    seconds = tuple(tuple(_seconds(line, times) for line in panel.lines) for panel in what.panels)
    if not any(np.isfinite(own).any() for panel in seconds for own in panel):
        raise SpecError(
            f"expected curves that tell their seconds, got none in {results.sweep}; "
            f"`raysweep plot {results.sweep}` draws them over steps",
            field="kind time",
        )
    return TimeFigure(what, seconds)


def _seconds(line: Line, times: dict[str, Curve]) -> Numbers:
    """The line's seconds at its steps: the mean over those of its runs that know theirs."""
    rows = np.full((len(line.run_ids), len(line.steps)), np.nan)
    for row, run_id in zip(rows, line.run_ids, strict=True):
        own = times.get(run_id)
        if own is None:
            continue
        places = np.minimum(np.searchsorted(own.steps, line.steps), len(own.steps) - 1)
        there = own.steps[places] == line.steps
        row[there] = own.values["seconds"][places][there]
    count = np.isfinite(rows).sum(axis=0)
    return np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)

"""Learning curves over seconds of training instead of steps."""

import dataclasses

import numpy as np

from raysweep.errors import SpecError
from raysweep.figures import curves
from raysweep.figures.curves import CurvesFigure, CurvesRequest, Line
from raysweep.figures.scope import Curve, Numbers, read_curves
from raysweep.results.sweep_results import SweepResults


@dataclasses.dataclass(frozen=True)
class TimeFigure:
    """Curves with the seconds of training at their points.

    Args:
        curves: Panels and lines of the curves.
        seconds: Seconds for each panel's lines, `T` each: the mean over seeds of a run's share of
            its pack's time up to each step; NaN where no run has recorded it.
    """

    curves: CurvesFigure
    seconds: tuple[tuple[Numbers, ...], ...]


def prepare(results: SweepResults, request: CurvesRequest) -> TimeFigure:
    """Return the curves of a sweep over time.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    prepared = curves.prepare(results, request)
    lines = [line for panel in prepared.panels for line in panel.lines]
    run_ids = [run_id for line in lines for run_id in line.run_ids]
    times = read_curves(results, run_ids, ["seconds"])
    seconds = tuple(
        tuple(_seconds(line, times) for line in panel.lines) for panel in prepared.panels
    )
    if not any(np.isfinite(values).any() for panel in seconds for values in panel):
        raise SpecError(
            f"time needs the seconds of curves, but those of {results.sweep} have none; "
            f"`raysweep plot {results.sweep}` draws them over steps",
            field="kind",
        )
    return TimeFigure(prepared, seconds)


def _seconds(line: Line, times: dict[str, Curve]) -> Numbers:
    """Return the seconds at the line's steps: the mean over the runs that have recorded them."""
    rows = np.full((len(line.run_ids), len(line.steps)), np.nan)
    for row, run_id in zip(rows, line.run_ids, strict=True):
        curve = times.get(run_id)
        if curve is None:
            continue
        indices = np.minimum(np.searchsorted(curve.steps, line.steps), len(curve.steps) - 1)
        recorded = curve.steps[indices] == line.steps
        row[recorded] = curve.values["seconds"][indices][recorded]
    count = np.isfinite(rows).sum(axis=0)
    return np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)

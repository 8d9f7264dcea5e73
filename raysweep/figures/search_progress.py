"""How far a search has come: the best mean so far, over the configurations that have ended."""

import dataclasses
import datetime
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures.scale import Scale
from raysweep.figures.scope import Numbers, Request, SweepView
from raysweep.results.selection import Candidate
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults

MAX_DOTS = 2000  # of a line; more would hide it
UNKNOWN = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRequest(Request):
    """What the progress of a search may be asked for, besides what every figure may.

    Args:
        log: Whether the y axes are logarithmic.
    """

    log: bool = False


@dataclasses.dataclass(frozen=True)
class Progress:
    """One estimator on one task.

    Args:
        estimator: Label.
        place: The estimator's in the sweep file.
        ended: Configurations that have ended, well or not.
        at: `N`, increasing from 1: the places, in the order in which they began, of the
            configurations that all planned seeds ended well of; at most `MAX_DOTS` of them.
        means: `N`, their means of the metric over seeds.
        improved: `I`, increasing: the places that brought a better mean than all before.
        best: `I`, those means.
    """

    estimator: str
    place: int
    ended: int
    at: NDArray[np.int64]
    means: Numbers
    improved: NDArray[np.int64]
    best: Numbers


@dataclasses.dataclass(frozen=True)
class SearchPanel:
    """One task.

    Args:
        task: Label.
        lines: Estimator by estimator, in the file's order.
        limits: The y axis where a few bad configurations would flatten the rest; None if all of
            it can be shown.
    """

    task: str
    lines: tuple[Progress, ...]
    limits: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class SearchFigure:
    """Panels of progress.

    Args:
        sweep: Its name.
        metric: The one that selects.
        unit: Its unit.
        mode: `min` or `max`.
        seeds: How many a mean is over.
        panels: Task by task.
        log: Whether the y axes are logarithmic.
    """

    sweep: str
    metric: str
    unit: str
    mode: str
    seeds: int
    panels: tuple[SearchPanel, ...]
    log: bool


def prepare(results: SweepResults, request: SearchRequest) -> SearchFigure:
    """The progress of a sweep's searches.

    Raises:
        SpecError: If the request names what the sweep lacks, or there is nothing to draw yet.
    """
    scope = SweepView.of(results, request)
    lines: dict[str, list[Progress]] = {task: [] for task in scope.tasks}
    for arm, found in scope.candidates(about=("started_at",)):
        place = scope.place(arm.estimator_label)
        progress = _progress(arm.estimator_label, place, found, scope)
        if progress.ended:
            lines[arm.task_label].append(progress)
    if not any(len(line.at) for own in lines.values() for line in own):
        raise SpecError(
            f"expected configurations whose seeds all ended well, got none in "
            f"{results.sweep}; `raysweep status {results.sweep}` tells how far it is",
            field="kind search",
        )
    if request.log:
        _check_positive(lines, scope.select)
    panels = tuple(
        SearchPanel(task, tuple(sorted(own, key=lambda line: line.place)), _limits(own, scope.mode))
        for task, own in lines.items()
    )
    return SearchFigure(
        results.sweep,
        scope.select,
        results.spec.metrics[scope.select]["unit"],
        scope.mode,
        len(results.spec.seeds),
        panels,
        request.log,
    )


def _progress(estimator: str, place: int, found: Sequence[Candidate], scope: SweepView) -> Progress:
    ended = [each for each in found if each.complete or _ended_otherwise(each)]
    ended.sort(key=lambda each: (_start(each), each.configuration_id))
    values = np.array([_mean(each, scope.select) for each in ended], np.float64)
    at = np.flatnonzero(np.isfinite(values))
    means = values[at]
    so_far = np.minimum.accumulate(means) if scope.mode == "min" else np.maximum.accumulate(means)
    improves = np.diff(so_far, prepend=np.nan) != 0
    shown = np.unique(np.linspace(0, len(at) - 1, min(len(at), MAX_DOTS)).round().astype(int))
    return Progress(
        estimator,
        place,
        len(ended),
        at[shown] + 1,
        means[shown],
        at[improves] + 1,
        means[improves],
    )


def _ended_otherwise(candidate: Candidate) -> bool:
    return any(map(candidate.has, ("diverged", "failed", "stopped")))


def _start(candidate: Candidate) -> datetime.datetime:
    """When the first of its runs began."""
    stats = candidate.stats
    if "started_at" not in stats.runs.table.column_names:
        return UNKNOWN
    rows = stats.rows_of(candidate.index, stats.searched)
    times = stats.runs.table["started_at"].take(pa.array(rows))
    return pc.min(times).as_py() or UNKNOWN


def _mean(candidate: Candidate, metric: str) -> float:
    """Over the seeds; NaN unless all planned ones ended well and have the metric."""
    values = candidate.values(metric)
    if not candidate.complete or len(values) < candidate.seeds:
        return math.nan
    return mean_of(values)


def _limits(lines: Sequence[Progress], mode: str) -> tuple[float, float] | None:
    """The y axis that ends where the scale of the means does; None if it ends at the worst."""
    scale = Scale.of(np.concatenate([line.means for line in lines] or [np.empty(0)]), mode)
    if scale is None or not scale.cut:
        return None
    low, high = sorted((scale.best, scale.worst))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _check_positive(lines: dict[str, list[Progress]], metric: str) -> None:
    for task, own in lines.items():
        if own and not any((line.means > 0).any() for line in own):
            raise SpecError(
                f"expected positive values of {metric}, got none on {task}; leave log out",
                field="log",
            )

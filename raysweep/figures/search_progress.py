"""Progress of a search: the best mean so far over the configurations that have ended."""

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

MAX_DOTS = 2000  # for each line; more would hide it
UNKNOWN = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRequest(Request):
    """Options of a figure of a search's progress.

    Args:
        log: Whether the y axes are logarithmic.
    """

    log: bool = False


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of the search of one estimator on one task.

    Configurations are numbered from 1, in the order in which they started.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        ended: Number of configurations that have ended, successfully or not.
        numbers: Numbers of the configurations whose planned seeds all succeeded, `N`, increasing;
            at most `MAX_DOTS` of them.
        means: Means of the metric over the seeds of these configurations, `N`.
        improved: Numbers of the configurations with a better mean than all before, `I`, increasing.
        best: Means of these configurations, `I`.
    """

    estimator: str
    index: int
    ended: int
    numbers: NDArray[np.int64]
    means: Numbers
    improved: NDArray[np.int64]
    best: Numbers


@dataclasses.dataclass(frozen=True)
class SearchPanel:
    """Progress of the searches on one task.

    Args:
        task: Label of the task.
        lines: Progress of each estimator, in the order of the sweep file.
        limits: Limits of the y axis if a few bad configurations would flatten the rest; None if
            all of it fits.
    """

    task: str
    lines: tuple[Progress, ...]
    limits: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class SearchFigure:
    """Panels of progress.

    Args:
        sweep: Name of the sweep.
        metric: Metric that selects.
        unit: Unit of the metric.
        mode: Direction of the metric, `min` or `max`.
        seeds: Number of seeds that a mean is over.
        panels: Panels, one for each task.
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
    """Return the progress of a sweep's searches.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    view = SweepView.of(results, request)
    lines: dict[str, list[Progress]] = {task: [] for task in view.tasks}
    for arm, configurations in view.candidates(about=("started_at",)):
        progress = _progress(arm.estimator_label, configurations, view)
        if progress.ended:
            lines[arm.task_label].append(progress)
    if not any(len(line.numbers) for of_task in lines.values() for line in of_task):
        raise SpecError(
            f"search needs a finished configuration, but no configuration of {results.sweep} has "
            f"finished on all its seeds; `raysweep status {results.sweep}` shows its progress",
            field="kind",
        )
    if request.log:
        _check_positive(lines, view.select)
    panels = tuple(
        SearchPanel(
            task, tuple(sorted(of_task, key=lambda line: line.index)), _limits(of_task, view.mode)
        )
        for task, of_task in lines.items()
    )
    return SearchFigure(
        results.sweep,
        view.select,
        results.spec.metrics[view.select]["unit"],
        view.mode,
        len(results.spec.seeds),
        panels,
        request.log,
    )


def _progress(estimator: str, configurations: Sequence[Candidate], view: SweepView) -> Progress:
    ended = [c for c in configurations if c.complete or _has_unsuccessful_run(c)]
    ended.sort(key=lambda c: (_start(c), c.configuration_id))
    values = np.array([_mean(c, view.select) for c in ended], np.float64)
    known = np.flatnonzero(np.isfinite(values))
    means = values[known]
    so_far = np.minimum.accumulate(means) if view.mode == "min" else np.maximum.accumulate(means)
    improves = np.diff(so_far, prepend=np.nan) != 0
    shown = np.unique(np.linspace(0, len(known) - 1, min(len(known), MAX_DOTS)).round().astype(int))
    return Progress(
        estimator,
        view.estimator_index(estimator),
        len(ended),
        known[shown] + 1,
        means[shown],
        known[improves] + 1,
        means[improves],
    )


def _has_unsuccessful_run(candidate: Candidate) -> bool:
    return any(map(candidate.has, ("diverged", "failed", "stopped")))


def _start(candidate: Candidate) -> datetime.datetime:
    """Return the time at which the first run of a configuration started."""
    stats = candidate.stats
    if "started_at" not in stats.runs.table.column_names:
        return UNKNOWN
    rows = stats.rows_of(candidate.index, stats.searched)
    times = stats.runs.table["started_at"].take(pa.array(rows))
    return pc.min(times).as_py() or UNKNOWN


def _mean(candidate: Candidate, metric: str) -> float:
    """Return the mean over seeds; NaN unless all planned seeds succeeded and have the metric."""
    values = candidate.values(metric)
    if not candidate.complete or len(values) < candidate.seeds:
        return math.nan
    return mean_of(values)


def _limits(lines: Sequence[Progress], mode: str) -> tuple[float, float] | None:
    """Return the limits of a y axis that ends where the scale of the means ends.

    Returns:
        The low and high limit, or None if the scale holds all means.
    """
    scale = Scale.of(np.concatenate([line.means for line in lines] or [np.empty(0)]), mode)
    if scale is None or not scale.cut:
        return None
    low, high = sorted((scale.best, scale.worst))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _check_positive(lines: dict[str, list[Progress]], metric: str) -> None:
    for task, of_task in lines.items():
        if of_task and not any((line.means > 0).any() for line in of_task):
            raise SpecError(
                f"expected positive values of {metric}, got none on {task}; leave log out",
                field="log",
            )

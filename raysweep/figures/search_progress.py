"""Progress of a search: the best mean so far over the configurations that have ended."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysweep.errors import SpecError
from raysweep.figures import curves
from raysweep.figures.drawing import Numbers, sentence
from raysweep.figures.line_charts import Axis, Line, LineFigure, Look, Panel
from raysweep.figures.scale import Scale
from raysweep.figures.scope import Numbers as Values
from raysweep.figures.scope import Request, SweepView
from raysweep.figures.thinning import evenly
from raysweep.results.configuration_stats import Candidate
from raysweep.results.stats.summary import mean as mean_of
from raysweep.results.sweep_results import SweepResults
from raysweep.text import counted

MAX_DOTS = 2000  # for each line; more would hide it
MAX_ALL = 20_000  # dots of a figure

CONFIGURATIONS = Axis(title="configurations ended", tip="configuration", format=",d", is_whole=True)
CUT = "y axes end at three times as far from the best as the median is"


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
        task: Label of the task.
        ended: Number of configurations that have ended, successfully or not.
        numbers: Numbers of the configurations whose planned seeds all succeeded, `N`, increasing.
        means: Means of the metric over the seeds of these configurations, `N`.
        improved: Numbers of the configurations with a better mean than all before, `I`, increasing.
        best: Means of these configurations, `I`.
    """

    estimator: str
    index: int
    task: str
    ended: int
    numbers: NDArray[np.int64]
    means: Values
    improved: NDArray[np.int64]
    best: Values


def prepare(results: SweepResults, request: SearchRequest) -> LineFigure:
    """Return the progress of a sweep's searches.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.
    """
    view = SweepView.of(results, request)
    searches = progress(view)
    if not any(len(search.numbers) for search in searches):
        raise SpecError(
            f"search needs a finished configuration, but no configuration of {results.sweep} has "
            f"finished on all its seeds; `raysweep status {results.sweep}` shows its progress",
            field="kind",
        )
    most = MAX_ALL // max(1, len(searches))
    panels = tuple(
        _panel(view, task, [search for search in searches if search.task == task], request, most)
        for task in view.tasks
    )
    curves.check_positive(panels)
    is_thinned = any(most < len(search.numbers) for search in searches)
    rows = {search.index: search.estimator for search in searches}
    caption = _caption(view, panels, is_thinned=is_thinned)
    look = Look(dots="mean")
    return LineFigure(
        panels=panels, rows=rows, caption=caption, numbers=_numbers(searches), look=look
    )


def progress(view: SweepView) -> list[Progress]:
    """Return the progress of every search, task by task, in the order of the sweep file."""
    searches = []
    for arm, configurations in view.candidates(about=("started_at",)):
        values = _means(configurations, view)
        known = np.flatnonzero(np.isfinite(values))
        means = values[known]
        best = np.minimum if view.mode == "min" else np.maximum
        improves = np.diff(best.accumulate(means), prepend=np.nan) != 0
        index = view.estimator_index(arm.estimator_label)
        if len(values):
            searches.append(
                Progress(
                    *(arm.estimator_label, index, arm.task_label, len(values)),
                    *(known + 1, means, known[improves] + 1, means[improves]),
                )
            )
    return sorted(searches, key=lambda search: (view.tasks.index(search.task), search.index))


def _panel(
    view: SweepView, task: str, searches: Sequence[Progress], request: SearchRequest, most: int
) -> Panel:
    """Return the panel of a task, with at most so many dots of each row."""
    lines, dots = [], []
    for search in searches:
        if not len(search.numbers):
            continue
        about: dict[str, Any] = {"estimator": search.estimator, "index": search.index}
        shown = evenly(len(search.numbers), min(most, MAX_DOTS))
        dots.append(Line(**about, x=search.numbers[shown], y=search.means[shown]))
        # The line reaches to the last configuration.
        x, y = [*search.improved, search.ended], [*search.best, search.best[-1]]
        lines.append(Line(**about, x=np.array(x), y=np.array(y)))
    y_axis = curves.metric_axis(view, view.select, log=request.log)
    limits = None if request.log else _limits(searches, view.mode)
    y_axis = dataclasses.replace(y_axis, tip="best so far", limits=limits, is_nice=False)
    return Panel(
        title=task,
        metric=view.select,
        lines=tuple(lines),
        dots=tuple(dots),
        x=CONFIGURATIONS,
        y=y_axis,
        step="after",
        empty="no value yet" if searches else "no configuration yet",
    )


def _means(configurations: Sequence[Candidate], view: SweepView) -> Values:
    """Return the means over seeds of the configurations that have ended, by their start.

    Returns:
        Means; NaN unless all planned seeds succeeded and have the metric.
    """
    if not configurations:
        return np.empty(0)
    stats = configurations[0].stats
    indices = np.array([candidate.index for candidate in configurations])
    indices = indices[stats.complete[indices] | stats.bad[indices]]
    ids = [stats.runs.ids[index] for index in indices.tolist()]
    indices = indices[np.lexsort((ids, stats.starts[indices]))]
    of_all = stats.means(view.select)
    good = stats.complete[indices] & (of_all.count[indices] == stats.rows[indices])
    means = np.where(good, of_all.mean[indices], np.nan)
    # Sums in another order differ in the last bits, so possible bests are summed exactly.
    losses, error = means if view.mode == "min" else -means, of_all.error[indices]
    near = losses - error <= np.fmin.accumulate(losses + error)
    for position in np.flatnonzero(near).tolist():
        means[position] = mean_of(stats.values(int(indices[position]), view.select))
    return means


def _limits(searches: Sequence[Progress], mode: str) -> tuple[float, float] | None:
    """Return the limits of a y axis that ends where the scale of the means ends.

    Returns:
        The low and high limit, or None if the scale holds all means.
    """
    scale = Scale.of(np.concatenate([np.empty(0), *(i.means for i in searches)]), mode)
    if scale is None or not scale.cut:
        return None
    low, high = sorted((scale.best, scale.worst))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _numbers(searches: Sequence[Progress]) -> Numbers:
    head = ("row", "task", "best mean", "at configuration", "configurations ended")
    rows = [
        (
            *(search.estimator, search.task),
            f"{search.best[-1]:.6g}" if len(search.best) else "",
            f"{search.improved[-1]:,}" if len(search.best) else "",
            f"{search.ended:,}",
        )
        for search in searches
    ]
    return Numbers.of(head, rows)


def _caption(view: SweepView, panels: Sequence[Panel], *, is_thinned: bool) -> str:
    best = "lowest" if view.mode == "min" else "highest"
    seeds = counted(len(view.results.spec.seeds), "seed")
    return sentence(
        [
            f"{view.results.sweep}: {best} mean {view.select} so far over {seeds}, in the order in "
            "which configurations began",
            "dots: those whose seeds all ended well",
            CUT if any(panel.y.limits for panel in panels) else "",
            curves.outside(panels),
            f"at most {MAX_ALL:,} dots in all" if is_thinned else "",
        ]
    )

"""Performance profiles: the fraction of runs that end with at least a given value of a metric."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from raysweep.figures import seeds
from raysweep.figures.drawing import Numbers as Table
from raysweep.figures.drawing import axis_label, sentence
from raysweep.figures.line_charts import Axis, Line, LineFigure, Look, Panel, rows_of
from raysweep.figures.scope import MetricRequest, Numbers
from raysweep.figures.seeds import SeedsFigure, SeedsRow
from raysweep.figures.thinning import evenly
from raysweep.results.stats.intervals import FEWEST_FOR_MEAN
from raysweep.results.sweep_results import SweepResults
from raysweep.text import some

Share = Literal["at most", "at least", "above"]

RESAMPLES = 2000
LEVEL = 0.95
MAX_POINTS, MAX_ALL = 2000, 40_000  # of a line, and of a figure
MARGIN = 0.03  # of the range of the values, to each side, in which lines begin and end
ALL_TASKS = "all tasks"
QUARTERS = (0.25, 0.5, 0.75)
SCORE = ("normalised score", "(0 worst, 1 best)")  # lines of a title
FRACTION = Axis(
    title="fraction of runs",
    tip="fraction",
    options={"values": [0, 0.25, 0.5, 0.75, 1], "format": ".2~f"},
    limits=(-0.02, 1.02),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileRequest(MetricRequest):
    """Options of a figure of profiles: one metric, by default the one that selects."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """Runs of one profile.

    Args:
        cells: Cells of the estimator.
        tasks: Values or normalised scores of the runs by task, `R` each; tasks have equal weights.
    """

    cells: Sequence[SeedsRow]
    tasks: Mapping[str, Numbers]

    @property
    def count(self) -> int:
        """Number of runs."""
        return sum(map(len, self.tasks.values()))

    @property
    def state(self) -> str:
        """State of the profile, as in the table."""
        statuses = {cell.status for cell in self.cells}
        return "provisional" if "provisional" in statuses else "selected"


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Profiles of a panel.

    Args:
        title: Label of the task, or `ALL_TASKS`.
        counts: Runs that count at a value: those that end `at most` or `at least` there, or `above`
            a normalised score.
        runs: Runs of each profile, in the order of the sweep file.
        ends: Values between which the profiles are drawn.
    """

    title: str
    counts: Share
    runs: Sequence[Runs]
    ends: Numbers


def prepare(results: SweepResults, request: ProfileRequest) -> LineFigure:
    """Return the profiles of a sweep's selected configurations.

    The profile of an estimator on a task is the empirical distribution of its seeds' final values:
    at x, the fraction that is at least as good as x, so at most x for a metric to minimise and at
    least x for one to maximise. The profile over all tasks is the run-score distribution
    of Agarwal et al.: at x, the mean over tasks of the fraction of runs with a score above x.
    There, a task's scores are 0 at the worst and 1 at the best value of all estimators shown.
    Bands are pointwise 95 % percentile intervals over 2,000 bootstrap resamples of the seeds,
    which are resampled within each task.

    Raises:
        SpecError: If the request names something that the sweep lacks, or nothing can be drawn yet.

    References:
        Agarwal, Schwarzer, Castro, Courville, Bellemare (2021), Deep reinforcement learning at the
        edge of the statistical precipice, NeurIPS, arXiv:2108.13264, section 4.2 (performance
        profiles); Dolan and Moré (2002), Mathematical Programming 91(2).
    """
    request.check_single("a figure of profiles")
    finals = seeds.read_seeds(results, request)
    direction = results.spec.metrics[finals.metric]["direction"]
    counts: Share = "at most" if direction == "min" else "at least"
    known = {panel.task: [row for row in panel.rows if _is_known(row)] for panel in finals.panels}
    groups = [
        Profiles(task, counts, [Runs([row], {task: row.values}) for row in rows], _ends(rows))
        for task, rows in known.items()
    ]
    scores = {
        task: of_task for task, rows in known.items() if (of_task := _scores(rows, direction))
    }
    cells = {
        name: [row for rows in known.values() for row in rows if row.estimator == name]
        for name in finals.estimators
    }
    whole = [name for name in finals.estimators if all(name in of for of in scores.values())]
    if len(scores) > 1:
        of_all = [Runs(cells[name], {t: of[name] for t, of in scores.items()}) for name in whole]
        groups.append(Profiles(ALL_TASKS, "above", of_all, np.array([-MARGIN, 1 + MARGIN])))
    panels = _panels(finals, groups)
    lines = [line for panel in panels for line in panel.lines]
    notes = [f"no profile: {some(without)}" if (without := _without(finals)) else ""]
    if len(scores) > 1:
        partial = [name for name, rows in cells.items() if rows and name not in whole]
        equal = [task for task, rows in known.items() if rows and task not in scores]
        notes.append(f"not in all tasks: {some(partial)}" if partial else "")
        notes.append(f"all values are equal on {some(equal)}" if equal else "")
    return LineFigure(
        panels=panels,
        rows=rows_of(lines),
        caption=sentence([*_caption(finals, groups, panels), *notes]),
        numbers=_numbers(groups),
        look=Look(count="runs"),
    )


def _is_known(row: SeedsRow) -> bool:
    return row.status in ("selected", "provisional") and bool(np.isfinite(row.values).all())


def _without(finals: SeedsFigure) -> list[str]:
    return [
        f"{row.estimator} on {panel.task} ({row.status})"
        for panel in finals.panels
        for row in panel.rows
        if not _is_known(row)
    ]


def _panels(finals: SeedsFigure, groups: Sequence[Profiles]) -> tuple[Panel, ...]:
    """Return the panels; the more profiles there are, the fewer points has one."""
    most = min(MAX_POINTS, max(50, MAX_ALL // sum(len(group.runs) for group in groups)))
    panels = []
    for group in groups:
        title = SCORE if group.counts == "above" else axis_label(finals.metric, finals.unit)
        x = Axis(title=title, tip=group.counts, options={"tickCount": 4})
        lines = tuple(profile(runs, group.ends, group.counts, most) for runs in group.runs)
        step = "before" if group.counts == "at least" else "after"
        panel = Panel(title=group.title, lines=lines, x=x, y=FRACTION, step=step, empty="no value")
        panels.append(panel)
    return tuple(panels)


def profile(runs: Runs, ends: Numbers, counts: Share, most: int) -> Line:
    """Return a profile with at most so many points, between two values.

    Args:
        runs: Runs of the profile.
        ends: Values between which the profile is drawn.
        counts: Relation of the runs that count to a value.
        most: Largest number of points.
    """
    x = np.unique(np.concatenate([ends, *runs.tasks.values()]))
    x = x[evenly(len(x), most)]
    shares = [shares_at(values, x, counts) for values in runs.tasks.values()]
    sizes = [len(values) for values in runs.tasks.values()]
    return Line(
        estimator=runs.cells[0].estimator,
        index=runs.cells[0].index,
        x=x,
        y=np.mean(shares, axis=0),
        band=band(shares, sizes) if min(sizes) >= FEWEST_FOR_MEAN else None,
        count=runs.count,
        state=runs.state,
    )


def shares_at(values: Numbers, x: Numbers, counts: Share) -> Numbers:
    """Return the fraction of the values that are at most, at least or above each `x`.

    Args:
        values: Numbers, `R`, in any order.
        x: Values that they are compared with, `P`.
        counts: Relation of the values that count to a point.
    """
    ordered = np.sort(values)
    below = np.searchsorted(ordered, x, "left" if counts == "at least" else "right") / len(values)
    return below if counts == "at most" else 1 - below


def band(shares: Sequence[Numbers], sizes: Sequence[int]) -> tuple[Numbers, Numbers]:
    """Return the 95 % percentile bootstrap interval of the mean over tasks of fractions.

    A resample of n runs has a multinomial number of them between neighbouring points, so that it is
    drawn by these numbers, without the runs.

    Args:
        shares: Fractions of each task, `P`, rising or falling.
        sizes: Number of runs of each task.

    Returns:
        Low and high ends, `P`.
    """
    generator = np.random.default_rng(0)
    total = np.zeros((RESAMPLES, len(shares[0])))
    for share, size in zip(shares, sizes, strict=True):
        rises = share[-1] >= share[0]
        rising = share if rises else share[::-1]
        between = np.diff(np.concatenate([[0.0], rising, [1.0]]))
        drawn = generator.multinomial(size, between / between.sum(), RESAMPLES)
        of_task = drawn.cumsum(axis=1)[:, :-1] / size
        total += of_task if rises else of_task[:, ::-1]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(total / len(shares), [tail, 1 - tail], axis=0)
    return low, high


def _ends(rows: Sequence[SeedsRow]) -> Numbers:
    """Return the values between which profiles are drawn, a little beyond all values."""
    values = np.concatenate([np.zeros(0), *(row.values for row in rows)])
    if not len(values):
        return values
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * ((high - low) or abs(low) or 1.0)
    return np.array([low - margin, high + margin])


def _scores(rows: Sequence[SeedsRow], direction: str) -> dict[str, Numbers]:
    """Return the scores of a task's values by estimator: 0 for the worst value, 1 for the best.

    There are none where all values are equal.
    """
    values = np.concatenate([np.zeros(0), *(row.values for row in rows)])
    if not len(values) or values.min() == values.max():
        return {}
    worst, best = values.min(), values.max()
    if direction == "min":
        worst, best = best, worst
    return {row.estimator: (row.values - worst) / (best - worst) for row in rows}


def _quarters(runs: Runs, counts: Share) -> list[float]:
    """Return the values that a quarter, a half and three quarters of the runs reach."""
    sign = 1.0 if counts == "at most" else -1.0
    values = sign * np.concatenate(list(runs.tasks.values()))
    weights = np.concatenate([np.full(len(of), 1 / len(of)) for of in runs.tasks.values()])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / len(runs.tasks)
    quarters: list[float] = values[order][
        np.searchsorted(reached, np.array(QUARTERS) - 1e-9)
    ].tolist()
    return [sign * value for value in quarters]


def _numbers(groups: Sequence[Profiles]) -> Table:
    reach = [f"{100 * quarter:.0f} % of runs reach" for quarter in QUARTERS]
    rows = [
        (
            *(runs.cells[0].estimator, group.title),
            *(f"{value:.6g}" for value in _quarters(runs, group.counts)),
            *(str(runs.count), runs.state),
        )
        for group in groups
        for runs in group.runs
    ]
    return Table.of(("row", "task", *reach, "runs", "state"), rows)


def _caption(finals: SeedsFigure, groups: Sequence[Profiles], panels: Sequence[Panel]) -> list[str]:
    lines = [line for panel in panels for line in panel.lines]
    is_normalised = groups[-1].counts == "above"
    within = " within tasks" if is_normalised else ""
    bands = f"band: pointwise 95 % percentile bootstrap over seeds{within}, from five seeds"
    return [
        f"{finals.sweep}: fraction of runs that end with {finals.metric} {groups[0].counts} x",
        "all tasks: mean over tasks of the fraction of runs with a score above x, which is 0 at "
        "the worst and 1 at the best value of the task over all rows shown"
        if is_normalised
        else "",
        bands if any(line.band is not None for line in lines) else "",
        finals.selection,
        "pale (?): provisional" if any(line.state == "provisional" for line in lines) else "",
    ]

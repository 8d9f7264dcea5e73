"""Performance profiles: the fraction of runs that end with at least a given value of a metric."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from raysweep.figures import seeds
from raysweep.figures.scope import MetricRequest, Numbers
from raysweep.figures.seeds import SeedsFigure, SeedsRow
from raysweep.figures.thinning import evenly
from raysweep.results.stats.intervals import FEWEST_FOR_MEAN
from raysweep.results.sweep_results import SweepResults

Share = Literal["at most", "at least", "above"]

RESAMPLES = 2000
LEVEL = 0.95
MAX_POINTS, MAX_ALL = 2000, 40_000  # of a line, and of a figure
MARGIN = 0.03  # of the range of the values, to each side, in which lines begin and end
ALL_TASKS = "all tasks"
QUARTERS = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileRequest(MetricRequest):
    """Options of a figure of profiles: one metric, by default the one that selects."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """Profile of one estimator on one task, or over all of them.

    Args:
        estimator: Label of the estimator.
        index: Index of the estimator in the sweep file.
        provisional: Whether some planned seeds have not ended yet.
        runs: Number of runs.
        x: Numbers at which the profile is known, `P`, increasing; it is constant between them.
        share: Fraction of runs that are as good as each value, `P`.
        low: Low ends of the band, `P`; NaN where there are fewer than five seeds.
        high: High ends of the band, `P`; NaN where there are fewer than five seeds.
        quarters: Numbers that a quarter, a half and three quarters of the runs reach.
    """

    estimator: str
    index: int
    provisional: bool
    runs: int
    x: Numbers
    share: Numbers
    low: Numbers
    high: Numbers
    quarters: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ProfilePanel:
    """Profiles of one task, or of the normalised scores of all tasks.

    Args:
        title: Label of the task, or `ALL_TASKS`.
        counts: Runs that count at a value: those that end `at most` or `at least` there, or `above`
            a normalised score.
        profiles: Profile of each estimator, in the order of the sweep file.
    """

    title: str
    counts: Share
    profiles: tuple[Profile, ...]


@dataclasses.dataclass(frozen=True)
class ProfileFigure:
    """Panels of profiles.

    Args:
        sweep: Name of the sweep.
        metric: Metric that is shown.
        unit: Unit of the metric.
        panels: Panels, one for each task, and one for all of them if several have a scale.
        selection: Caption text on how configurations were selected.
        without: Estimators and tasks without a profile, and their status.
        partial: Estimators that the panel of all tasks lacks, as they have no value on some task.
        equal: Tasks that the panel of all tasks lacks, as all their values are equal.
    """

    sweep: str
    metric: str
    unit: str
    panels: tuple[ProfilePanel, ...]
    selection: str
    without: tuple[str, ...]
    partial: tuple[str, ...]
    equal: tuple[str, ...]


def prepare(results: SweepResults, request: ProfileRequest) -> ProfileFigure:
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
    lines = sum(map(len, known.values())) + len(finals.estimators)
    most = min(MAX_POINTS, max(50, MAX_ALL // lines))
    panels = [
        ProfilePanel(task, counts, _of_task(rows, counts, most)) for task, rows in known.items()
    ]
    scores = {
        task: _scores(rows, direction)
        for task, rows in known.items()
        if len({value for row in rows for value in row.values}) > 1
    }
    partial: tuple[str, ...] = ()
    if len(scores) > 1:
        whole = [name for name in finals.estimators if all(name in of for of in scores.values())]
        rows = [row for of_task in known.values() for row in of_task]
        partial = tuple(dict.fromkeys(row.estimator for row in rows if row.estimator not in whole))
        profiles = tuple(_over_tasks(rows, scores, name, most) for name in whole)
        panels.append(ProfilePanel(ALL_TASKS, "above", profiles))
    return ProfileFigure(
        finals.sweep,
        finals.metric,
        finals.unit,
        tuple(panels),
        finals.selection,
        _without(finals),
        partial,
        tuple(task for task, of_task in known.items() if of_task and task not in scores),
    )


def _is_known(row: SeedsRow) -> bool:
    return row.status in ("selected", "provisional") and bool(np.isfinite(row.values).all())


def _without(finals: SeedsFigure) -> tuple[str, ...]:
    return tuple(
        f"{row.estimator} on {panel.task} ({row.status})"
        for panel in finals.panels
        for row in panel.rows
        if not _is_known(row)
    )


def _of_task(rows: Sequence[SeedsRow], counts: Share, most: int) -> tuple[Profile, ...]:
    """Return the profiles of a task, which all begin and end at the same values."""
    ends = _ends(np.concatenate([np.zeros(0), *(row.values for row in rows)]))
    return tuple(_profile([row], {"": row.values}, (ends, counts, most)) for row in rows)


def _over_tasks(
    rows: Sequence[SeedsRow], scores: Mapping[str, Mapping[str, Numbers]], name: str, most: int
) -> Profile:
    """Return the profile of an estimator over all tasks."""
    of_task = {task: of[name] for task, of in scores.items()}
    cells = [row for row in rows if row.estimator == name]
    return _profile(cells, of_task, (_ends(np.array([0.0, 1.0])), "above", most))


def _profile(
    cells: Sequence[SeedsRow],
    tasks: Mapping[str, Numbers],
    grid: tuple[Numbers, Share, int],
) -> Profile:
    """Return a profile with equal weights of the tasks, each with its runs' values.

    Args:
        cells: Cells of the estimator.
        tasks: Numbers of the runs by task.
        grid: Ends of the profile, runs that count, and largest number of points.
    """
    ends, counts, most = grid
    x = np.unique(np.concatenate([ends, *tasks.values()]))
    x = x[evenly(len(x), most)]
    shares = [shares_at(values, x, counts) for values in tasks.values()]
    sizes = [len(values) for values in tasks.values()]
    low, high = np.full((2, len(x)), np.nan)
    if min(sizes) >= FEWEST_FOR_MEAN:
        low, high = band(shares, sizes)
    return Profile(
        cells[0].estimator,
        cells[0].index,
        any(cell.status == "provisional" for cell in cells),
        sum(sizes),
        x,
        np.mean(shares, axis=0),
        low,
        high,
        _quarters(tasks, counts),
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


def _ends(values: Numbers) -> Numbers:
    """Return the values between which profiles are drawn, a little beyond all values."""
    if not len(values):
        return np.zeros(0)
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * ((high - low) or abs(low) or 1.0)
    return np.array([low - margin, high + margin])


def _scores(rows: Sequence[SeedsRow], direction: str) -> dict[str, Numbers]:
    """Return the scores of a task's values by estimator: 0 for the worst value, 1 for the best."""
    values = np.concatenate([row.values for row in rows])
    worst, best = values.min(), values.max()
    if direction == "min":
        worst, best = best, worst
    return {row.estimator: (row.values - worst) / (best - worst) for row in rows}


def _quarters(tasks: Mapping[str, Numbers], counts: Share) -> tuple[float, ...]:
    sign = 1.0 if counts == "at most" else -1.0
    values = sign * np.concatenate(list(tasks.values()))
    weights = np.concatenate([np.full(len(of), 1 / len(of)) for of in tasks.values()])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / len(tasks)
    indices = np.searchsorted(reached, np.array(QUARTERS) - 1e-9)
    return tuple((sign * values[order][indices]).tolist())

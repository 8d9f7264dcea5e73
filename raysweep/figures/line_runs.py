"""Runs of the lines of curves: in training, or of all configurations; captions on such runs."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from raysweep.figures.scope import Curve, SweepView, read_curves
from raysweep.figures.thinning import evenly
from raysweep.results.selection import Cell
from raysweep.results.unfinished import unfinished
from raysweep.text import counted

MOST = 500  # configurations of one arm that are not selected
WINDOWED = "tables have training metrics as means over a run's last steps (window)"


@dataclasses.dataclass(frozen=True)
class LineRuns:
    """Runs that one line of a figure is over.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        run_ids: Ids of the runs.
        state: State of the line, as in `Line`.
        configuration_id: Id of the configuration where it is not the selected one.
    """

    task: str
    estimator: str
    run_ids: tuple[str, ...]
    state: str
    configuration_id: str = ""


def other_runs(view: SweepView, cells: Sequence[Cell]) -> tuple[list[LineRuns], int]:
    """Return the ended runs of all configurations but the selected ones.

    Args:
        view: Part of the sweep that the figure shows.
        cells: Cells of the table, whose configurations have lines already if they have runs.

    Returns:
        Runs of at most `MOST` configurations of each arm, evenly chosen, and the number of
        configurations left out.
    """
    shown = {(c.task, c.estimator, c.configuration_id) for c in cells if c.run_ids}
    groups, left_out = [], 0
    for arm, configurations in view.candidates():
        labels = arm.task_label, arm.estimator_label
        others = [
            LineRuns(
                *labels,
                tuple(row["run_id"] for row in candidate.rows),
                "stopped early" if candidate.has("stopped") else "other",
                candidate.configuration_id,
            )
            for candidate in configurations
            if (*labels, candidate.configuration_id) not in shown
        ]
        indices = evenly(len(others), MOST)
        groups += [others[index] for index in indices.tolist()]
        left_out += len(others) - len(indices)
    return groups, left_out


def training_runs(view: SweepView, cells: Sequence[Cell]) -> list[LineRuns]:
    """Return the runs in training to draw, for each arm that has some with curves.

    They are those of the configuration that the arm's cell shows, on the seeds that it shows. As
    long as no run of the arm ended, they are those of the configuration that is the best so far.

    Args:
        view: Part of the sweep that the figure shows.
        cells: Cells of this part.
    """
    spec = view.results.spec
    by_arm = _planned(view)
    shown_seeds = set(spec.report_seeds or spec.seeds)
    wanted: dict[tuple[str, str], list[list[str]]] = {}
    for cell in cells:
        runs = by_arm.get((cell.task, cell.estimator), {})
        of_cell = runs.get(cell.configuration_id or "", {})
        same = [run_id for run_id, seed in of_cell.items() if seed in shown_seeds]
        if same:
            wanted[cell.task, cell.estimator] = [same]
        elif not cell.run_ids:
            wanted[cell.task, cell.estimator] = [list(ids) for ids in runs.values()]
    run_ids = [run_id for runs in wanted.values() for ids in runs for run_id in ids]
    curves = read_curves(view.results, run_ids, [view.select]) if run_ids else {}
    best = {labels: _best(view, runs, curves) for labels, runs in wanted.items()}
    return [LineRuns(*labels, runs, "training") for labels, runs in best.items() if runs]


def _planned(view: SweepView) -> dict[tuple[str, str], dict[str, dict[str, int]]]:
    """Return the seeds of planned runs in training, by arm, configuration and run."""
    names = ["task", "estimator", "configuration_id", "run_id", "seed"]
    columns = unfinished(view.results.spec, view.results.store).planned.select(names)
    by_arm: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for row in columns.to_pylist():
        of_arm = by_arm.setdefault((row["task"], row["estimator"]), {})
        of_arm.setdefault(row["configuration_id"], {})[row["run_id"]] = row["seed"]
    return by_arm


def _best(
    view: SweepView, configurations: Sequence[Sequence[str]], curves: Mapping[str, Curve]
) -> tuple[str, ...]:
    """Return the runs with curves of the configuration that is the best so far; none if none has.

    It is the one with the best mean over its runs of the last value of the metric that selects.
    """
    sign = 1.0 if view.mode == "min" else -1.0
    ranked = []
    for run_ids in configurations:
        known = tuple(run_id for run_id in run_ids if run_id in curves)
        if known:
            loss = sign * float(np.mean([_last(curves[key], view.select) for key in known]))
            ranked.append((bool(np.isnan(loss)), loss, known))
    return min(ranked)[2] if ranked else ()


def _last(curve: Curve, metric: str) -> float:
    """Return the last finite value of a metric; NaN if there is none."""
    values = curve.values.get(metric, np.empty(0))
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float("nan")


def footnotes(
    view: SweepView, sources: Sequence[LineRuns], curves: Mapping[str, Curve], left_out: int
) -> list[str]:
    """Return the parts of a caption on the runs of curves, some of them empty.

    Args:
        view: Part of the sweep that the figure shows.
        sources: Runs of every line.
        curves: Curves of these runs by their ids; some may be lost.
        left_out: Number of configurations that are not drawn.
    """
    training = {key for runs in sources if runs.state == "training" for key in runs.run_ids}
    ended = {key for runs in sources for key in runs.run_ids} - training
    others = [runs for runs in sources if runs.configuration_id]
    of = f" of {len(others) + left_out:,}" if left_out else ""
    is_stopped = any(runs.state == "stopped early" for runs in others)
    ends = ", with a circle where early stopping ended them" if is_stopped else ""
    reached = max([int(curves[key].steps[-1]) for key in training], default=0)
    is_windowed = any("training.window" in arm.space for arm in view.results.spec.arms)
    return [
        f"faint: {len(others):,}{of} other configurations{ends}" if others else "",
        _in_training(len(training), len(training | ended), reached),
        WINDOWED if is_windowed else "",
        lost_curves(ended, curves),
    ]


def lost_curves(run_ids: set[str], curves: Mapping[str, Curve]) -> str:
    """Return the part of a caption that counts the runs without curves; empty if there are none."""
    lacking = len(run_ids - curves.keys())
    return f"{lacking} of {counted(len(run_ids))} have no curves" if lacking else ""


def _in_training(runs: int, of: int, step: int) -> str:
    """Return the part of a caption on runs that still train; empty if there are none.

    Args:
        runs: Number of these runs.
        of: Number of all runs of the figure.
        step: Last step of their curves.
    """
    if not runs:
        return ""
    some = f"{runs} of the {of} runs shown {'is' if runs == 1 else 'are'}"
    every = "the run shown is" if of == 1 else f"all {of} runs shown are"
    begun = some if runs < of else every
    return f"pale lines with a circle at their end: {begun} still training, up to step {step:,}"

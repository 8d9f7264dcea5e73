"""Runs that still train, of one configuration of each arm, whose curves a figure draws."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from raysweep.figures.scope import Curve, SweepView, read_curves
from raysweep.results.selection import Cell
from raysweep.results.unfinished import unfinished


@dataclasses.dataclass(frozen=True)
class TrainingRuns:
    """Runs of one arm that still train, of one configuration.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        run_ids: Ids of the runs.
    """

    task: str
    estimator: str
    run_ids: tuple[str, ...]


def training_runs(view: SweepView, cells: Sequence[Cell]) -> list[TrainingRuns]:
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
    wanted: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in cells:
        runs = by_arm.get((cell.task, cell.estimator), {})
        of_cell = runs.get(cell.configuration_id or "", {})
        same = [run_id for run_id, seed in of_cell.items() if seed in shown_seeds]
        if same:
            runs = {cell.configuration_id or "": {run_id: of_cell[run_id] for run_id in same}}
        elif cell.run_ids:
            continue
        wanted[cell.task, cell.estimator] = {key: list(ids) for key, ids in runs.items()}
    run_ids = [run_id for runs in wanted.values() for ids in runs.values() for run_id in ids]
    curves = read_curves(view.results, run_ids, [view.select]) if run_ids else {}
    return [
        TrainingRuns(*labels, best)
        for labels, runs in wanted.items()
        if (best := _best(view, list(runs.values()), curves))
    ]


def _planned(view: SweepView) -> dict[tuple[str, str], dict[str, dict[str, int]]]:
    """Return the seeds of planned runs in training, by arm, configuration and run."""
    names = ["task", "estimator", "configuration_id", "run_id", "seed"]
    columns = unfinished(view.results.spec, view.results.store).planned.select(names)
    by_arm: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for task, estimator, key, run_id, seed in zip(
        *(columns[name].to_pylist() for name in names), strict=True
    ):
        by_arm.setdefault((task, estimator), {}).setdefault(key, {})[run_id] = seed
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

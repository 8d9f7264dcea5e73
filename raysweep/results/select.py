"""Which configuration each cell of the table reports, and what is known of the cell."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from raysweep.identity import Run
from raysweep.spec.model import Arm, Spec

Status = Literal["selected", "provisional", "diverged", "failed", "empty", "missing"]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One task × one estimator.

    Args:
        task: The column's label.
        estimator: The row's label.
        status: `selected` if the configuration's planned seeds all ended well; `provisional` if
            no configuration's have yet, and the best of those that still may is shown;
            `diverged` or `failed` if none may; `empty` if what ended lacks the metric;
            `missing` if nothing ended.
        mean: Of the reported metric over seeds.
        std: Sample standard deviation over seeds; None for one seed.
        n: Seeds that the mean is over.
        configurations: How many have ended runs.
        diverged: Configurations that a diverged seed makes ineligible.
        failed: Configurations that a failed seed makes ineligible.
        settings: Of the configuration shown: those searched.
        configuration_id: Of the configuration shown.
    """

    task: str
    estimator: str
    status: Status
    mean: float | None = None
    std: float | None = None
    n: int = 0
    configurations: int = 0
    diverged: int = 0
    failed: int = 0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    configuration_id: str | None = None


@dataclasses.dataclass
class Candidate:
    """A configuration with the runs it has."""

    configuration_id: str
    assignment: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    complete: bool = False


def cells(
    spec: Spec, rows: Sequence[Mapping[str, Any]], select: str, mode: str, report: str
) -> list[Cell]:
    """The table's cells, arm by arm.

    Args:
        spec: Says which arms there are and what their spaces hold; runs outside are left out.
        rows: Of `runs`, each with its decoded `settings`.
        select: The metric whose mean over seeds selects the configuration.
        mode: `min` or `max`.
        report: The metric shown.
    """
    by_program: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_program.setdefault((row["task_name"], row["estimator_name"]), []).append(row)
    return [
        _cell(
            arm,
            _candidates(arm, spec.seeds, by_program.get((arm.task, arm.estimator), ())),
            select,
            mode,
            report,
        )
        for arm in spec.arms
    ]


def _candidates(
    arm: Arm, seeds: Sequence[int], rows: Sequence[Mapping[str, Any]]
) -> list[Candidate]:
    """The arm's configurations that have runs of planned seeds."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["configuration_id"], []).append(row)
    found = []
    for configuration_id, members in grouped.items():
        assignment = arm.locate(configuration_id, members[0]["settings"])
        if assignment is None:
            continue
        configuration = arm.configuration(assignment)
        planned = {Run(configuration, seed).run_id for seed in seeds}
        own = [row for row in members if row["run_id"] in planned]
        done = sum(row["status"] == "done" for row in own)
        if own:
            found.append(Candidate(configuration_id, assignment, own, done == len(planned)))
    return found


def _cell(arm: Arm, candidates: list[Candidate], select: str, mode: str, report: str) -> Cell:
    counts: dict[str, Any] = {
        "configurations": len(candidates),
        "diverged": sum(_has(each, "diverged") for each in candidates),
        "failed": sum(_has(each, "failed") for each in candidates),
    }
    sign = 1 if mode == "min" else -1
    ranked = []
    for candidate in candidates:
        values = _values(candidate, select)
        if values and not _has(candidate, "diverged") and not _has(candidate, "failed"):
            ranked.append((sign * statistics.fmean(values), candidate.configuration_id, candidate))
    if not ranked:
        return Cell(arm.task_label, arm.estimator_label, _without_value(counts), **counts)
    eligible = [
        each
        for each in ranked
        if each[2].complete and len(_values(each[2], select)) == len(each[2].rows)
    ]
    _, _, best = min(eligible or ranked, key=lambda each: each[:2])
    shown = _values(best, report)
    return Cell(
        arm.task_label,
        arm.estimator_label,
        "selected" if eligible else "provisional",
        statistics.fmean(shown) if shown else None,
        statistics.stdev(shown) if len(shown) > 1 else None,
        len(shown),
        **counts,
        settings=best.assignment,
        configuration_id=best.configuration_id,
    )


def _without_value(counts: Mapping[str, int]) -> Status:
    """Why a cell has nothing to show."""
    if counts["diverged"]:
        return "diverged"
    if counts["failed"]:
        return "failed"
    return "empty" if counts["configurations"] else "missing"


def _has(candidate: Candidate, status: str) -> bool:
    return any(row["status"] == status for row in candidate.rows)


def _values(candidate: Candidate, metric: str) -> list[float]:
    name = f"metric.{metric}"
    return [
        row[name] for row in candidate.rows if row["status"] == "done" and row.get(name) is not None
    ]

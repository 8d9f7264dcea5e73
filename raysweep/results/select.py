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
        run_ids: Its runs that ended well, as planned seeds.
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
    run_ids: tuple[str, ...] = ()


@dataclasses.dataclass
class Candidate:
    """A configuration with the runs it has."""

    configuration_id: str
    assignment: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    complete: bool = False

    def values(self, metric: str) -> list[float]:
        """The final metric of the runs that ended well."""
        name = f"metric.{metric}"
        return [row[name] for row in self.done if row.get(name) is not None]

    @property
    def done(self) -> list[Mapping[str, Any]]:
        """The runs that ended well."""
        return [row for row in self.rows if row["status"] == "done"]

    def has(self, status: str) -> bool:
        """Whether a run ended so."""
        return any(row["status"] == status for row in self.rows)


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
    return [
        _cell(arm, found, select, mode, report)
        for arm, found in zip(spec.arms, candidates(spec, rows), strict=True)
    ]


def candidates(spec: Spec, rows: Sequence[Mapping[str, Any]]) -> list[list[Candidate]]:
    """For each arm, its configurations that have runs of planned seeds; `rows` as in `cells`."""
    by_program: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_program.setdefault((row["task_name"], row["estimator_name"]), []).append(row)
    return [
        _candidates(arm, spec.seeds, by_program.get((arm.task, arm.estimator), ()))
        for arm in spec.arms
    ]


def choose(
    found: Sequence[Candidate], select: str, mode: str
) -> tuple[Candidate, Literal["selected", "provisional"]] | None:
    """The configuration with the best mean, and whether all its seeds are in; None if none may.

    Args:
        found: Configurations to choose from.
        select: The metric whose mean over seeds decides.
        mode: `min` or `max`.
    """
    sign = 1 if mode == "min" else -1
    ranked = []
    for candidate in found:
        values = candidate.values(select)
        if values and not candidate.has("diverged") and not candidate.has("failed"):
            ranked.append((sign * statistics.fmean(values), candidate.configuration_id, candidate))
    if not ranked:
        return None
    eligible = [
        each
        for each in ranked
        if each[2].complete and len(each[2].values(select)) == len(each[2].rows)
    ]
    _, _, best = min(eligible or ranked, key=lambda each: each[:2])
    return best, "selected" if eligible else "provisional"


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


def _cell(arm: Arm, found: list[Candidate], select: str, mode: str, report: str) -> Cell:
    counts: dict[str, Any] = {
        "configurations": len(found),
        "diverged": sum(each.has("diverged") for each in found),
        "failed": sum(each.has("failed") for each in found),
    }
    chosen = choose(found, select, mode)
    if chosen is None:
        return Cell(arm.task_label, arm.estimator_label, _without_value(counts), **counts)
    best, status = chosen
    shown = best.values(report)
    return Cell(
        arm.task_label,
        arm.estimator_label,
        status,
        statistics.fmean(shown) if shown else None,
        statistics.stdev(shown) if len(shown) > 1 else None,
        len(shown),
        **counts,
        settings=best.assignment,
        configuration_id=best.configuration_id,
        run_ids=tuple(row["run_id"] for row in best.done),
    )


def _without_value(counts: Mapping[str, int]) -> Status:
    """Why a cell has nothing to show."""
    if counts["diverged"]:
        return "diverged"
    if counts["failed"]:
        return "failed"
    return "empty" if counts["configurations"] else "missing"

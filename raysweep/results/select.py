"""Which configuration each cell of the table reports, and what is known of the cell."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from raysweep.identity import Run
from raysweep.spec.model import Arm, Spec

Status = Literal[
    "selected", "provisional", "unreported", "diverged", "failed", "stopped", "empty", "missing"
]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One task × one estimator.

    Args:
        task: The column's label.
        estimator: The row's label.
        status: `selected` if the configuration's planned seeds all ended well; `provisional` if
            no configuration's have yet, and the best of those that still may is shown;
            `diverged` or `failed` if none may, or a fresh seed did; `stopped` if all were stopped
            early; `unreported` if one is selected and none of its fresh seeds has ended; `empty`
            if what ended lacks the metric; `missing` if nothing ended.
        mean: Of the reported metric over seeds.
        std: Sample standard deviation over seeds; None for one seed.
        n: Seeds that the mean is over.
        configurations: How many have ended runs.
        diverged: Configurations that a diverged seed makes ineligible.
        failed: Configurations that a failed seed makes ineligible.
        stopped: Configurations that were stopped early.
        fresh_diverged: Fresh seeds of the selected configuration that diverged.
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
    stopped: int = 0
    fresh_diverged: int = 0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    configuration_id: str | None = None
    run_ids: tuple[str, ...] = ()


@dataclasses.dataclass
class Candidate:
    """A configuration with the runs it has.

    Args:
        configuration_id: Which.
        assignment: Its searched settings.
        rows: Its runs on the seeds of the search.
        complete: Whether all planned ones ended well.
        fresh: Its runs on the seeds to report.
    """

    configuration_id: str
    assignment: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    complete: bool = False
    fresh: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)

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
        _cell(arm, found, Choosing(select, mode, report, len(spec.report_seeds)))
        for arm, found in zip(spec.arms, candidates(spec, rows), strict=True)
    ]


def candidates(spec: Spec, rows: Sequence[Mapping[str, Any]]) -> list[list[Candidate]]:
    """For each arm, its configurations that have runs of planned seeds; `rows` as in `cells`."""
    by_program: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_program.setdefault((row["task_name"], row["estimator_name"]), []).append(row)
    return [
        _candidates(arm, spec, by_program.get((arm.task, arm.estimator), ())) for arm in spec.arms
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
        if values and not any(map(candidate.has, ("diverged", "failed", "stopped"))):
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


def _candidates(arm: Arm, spec: Spec, rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
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
        planned = {Run(configuration, seed).run_id for seed in spec.seeds}
        own = [row for row in members if row["run_id"] in planned]
        to_report = {Run(configuration, seed).run_id for seed in spec.report_seeds}
        fresh = [row for row in members if row["run_id"] in to_report]
        done = sum(row["status"] == "done" for row in own)
        if own:
            complete = done == len(planned)
            found.append(Candidate(configuration_id, assignment, own, complete, fresh))
    return found


@dataclasses.dataclass(frozen=True)
class Choosing:
    """How a cell's configuration is chosen and shown.

    Args:
        select: The metric whose mean over the search's seeds selects it.
        mode: `min` or `max`.
        report: The metric shown.
        fresh_seeds: How many fresh seeds the shown mean is over; 0 for the search's own.
    """

    select: str
    mode: str
    report: str
    fresh_seeds: int


def _cell(arm: Arm, found: list[Candidate], how: Choosing) -> Cell:
    counts: dict[str, Any] = {
        "configurations": len(found),
        "diverged": sum(each.has("diverged") for each in found),
        "failed": sum(each.has("failed") for each in found),
        "stopped": sum(each.has("stopped") for each in found),
    }
    chosen = choose(found, how.select, how.mode)
    if chosen is None:
        return Cell(arm.task_label, arm.estimator_label, _without_value(counts), **counts)
    best, status = chosen[0], cast(Status, chosen[1])
    rows = best.done
    if how.fresh_seeds:
        rows = [row for row in best.fresh if row["status"] == "done"]
        status = _reported(best, status, how.fresh_seeds)
        counts["fresh_diverged"] = sum(row["status"] == "diverged" for row in best.fresh)
    name = f"metric.{how.report}"
    shown = [row[name] for row in rows if row.get(name) is not None]
    if status not in ("selected", "provisional"):
        shown = []
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
        run_ids=tuple(row["run_id"] for row in rows),
    )


def _reported(best: Candidate, status: Status, fresh_seeds: int) -> Status:
    """What is known of the selected configuration on its fresh seeds."""
    statuses = [row["status"] for row in best.fresh]
    if "diverged" in statuses:
        return "diverged"
    if "failed" in statuses:
        return "failed"
    done = statuses.count("done")
    if not done:
        return "unreported"
    return status if done == fresh_seeds else "provisional"


def _without_value(counts: Mapping[str, int]) -> Status:
    """Why a cell has nothing to show."""
    if counts["diverged"]:
        return "diverged"
    if counts["failed"]:
        return "failed"
    if counts["stopped"] and counts["stopped"] == counts["configurations"]:
        return "stopped"
    return "empty" if counts["configurations"] else "missing"

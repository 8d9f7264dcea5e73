"""Results of runs, and the results of configurations that follow from them."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ENDS = ("done", "diverged", "stopped", "failed")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Args:
        status: `done`, `diverged`, `stopped` or `failed`.
        values: Final values of the metrics in `select`; None for a metric without a value.
        steps: Number of steps trained.
        seconds: The run's share of the training time of its pack.
        error: Error message of a failed run.
    """

    status: str
    values: tuple[float | None, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    error: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any], metrics: Sequence[str]) -> "RunResult":
        """Create the result from a row of `runs`."""
        return cls(
            row["status"],
            tuple(row.get(f"metric.{name}") for name in metrics),
            row["steps"] or 0,
            row.get("seconds") or 0.0,
            row.get("error"),
        )

    @property
    def never_ran(self) -> bool:
        """Whether the run was stopped before its first step."""
        return self.status == "stopped" and self.steps == 0


def one_row_each(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one row for each run: one that finished rather than a failed one, then the latest.

    Args:
        rows: Rows of `runs`, with `run_id`, `status` and `attempts`.
    """
    kept: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        other = kept.setdefault(row["run_id"], row)
        if other is not row and rank(row) > rank(other):
            kept[row["run_id"]] = row
    return list(kept.values())


def rank(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the rank of a row among several rows of one run; the highest one counts."""
    ranks = {"failed": 0, "stopped": 1, "diverged": 2, "done": 3}
    return ranks[row["status"]], row["attempts"] or 0


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """Result of a configuration, over its seeds.

    Args:
        values: Mean over seeds of each metric in `select`; empty unless all seeds finished.
        stopped_at: Steps after which it was stopped early; under racing, the number of seeds.
        value_then: Mean of the metric in `select` at that moment, if it was known.
    """

    values: tuple[float, ...] = ()
    stopped_at: int | None = None
    value_then: float | None = None


FAILED = TrialResult()


def trial_result(results: Sequence[RunResult]) -> TrialResult:
    """Combine the results of a configuration's runs; one bad seed makes it fail."""
    statuses = {result.status for result in results}
    if not results or statuses & {"diverged", "failed"}:
        return FAILED
    if "stopped" in statuses:
        steps = [result.steps for result in results if result.status == "stopped" and result.steps]
        ran = [result for result in results if not result.never_ran]
        return TrialResult((), min(steps, default=len(ran)), _mean(ran, 0))
    means = [_mean(results, index) for index in range(len(results[0].values))]
    known = [mean for mean in means if mean is not None]
    return TrialResult(tuple(known)) if len(known) == len(means) else FAILED


def _mean(results: Sequence[RunResult], index: int) -> float | None:
    """Return the mean of one metric over all results; None if one of them lacks it."""
    values = [result.values[index] for result in results]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def grouped_by_error(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return rows grouped by their `error`, the most frequent error first."""
    groups: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["error"], []).append(row)
    return sorted(groups.values(), key=len, reverse=True)

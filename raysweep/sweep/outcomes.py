"""How runs ended, and what that makes of their configurations."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ENDS = ("done", "diverged", "stopped", "failed")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        status: `done`, `diverged`, `stopped` or `failed`.
        values: Of the metrics that select; None where it has none.
        steps: Trained.
        seconds: Its share of its pack's time.
        error: If it failed.
    """

    status: str
    values: tuple[float | None, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    error: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any], metrics: Sequence[str]) -> "RunResult":
        """From a row of `runs`."""
        return cls(
            row["status"],
            tuple(row.get(f"metric.{name}") for name in metrics),
            row["steps"] or 0,
            row.get("seconds") or 0.0,
            row.get("error"),
        )

    @property
    def never_ran(self) -> bool:
        """Whether it was stopped before its first step."""
        return self.status == "stopped" and self.steps == 0


def one_row_each(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows, one for each run: one that ended well before a failed one, then the later one.

    Args:
        rows: Rows of `runs`, with `run_id`, `status` and `attempts`.
    """
    kept: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        other = kept.setdefault(row["run_id"], row)
        if other is not row and standing(row) > standing(other):
            kept[row["run_id"]] = row
    return list(kept.values())


def standing(row: Mapping[str, Any]) -> tuple[int, int]:
    """The rank of a row among several of one run; the largest one holds."""
    ranks = {"failed": 0, "stopped": 1, "diverged": 2, "done": 3}
    return ranks[row["status"]], row["attempts"] or 0


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """How a configuration ended.

    Args:
        values: Mean over its seeds of each metric that selects; empty unless all ended well.
        stopped_at: Where it was stopped early: steps, or seeds under racing.
        value_then: Its mean at that moment, if the metric that selects was known.
    """

    values: tuple[float, ...] = ()
    stopped_at: int | None = None
    value_then: float | None = None


FAILED = TrialResult()


def trial_result(ended: Sequence[RunResult]) -> TrialResult:
    """What becomes of a configuration whose runs ended so: one bad seed and it failed."""
    statuses = {each.status for each in ended}
    if not ended or statuses & {"diverged", "failed"}:
        return FAILED
    if "stopped" in statuses:
        steps = [each.steps for each in ended if each.status == "stopped" and each.steps]
        ran = [each for each in ended if not each.never_ran]
        return TrialResult((), min(steps, default=len(ran)), _mean(ran, 0))
    means = [_mean(ended, place) for place in range(len(ended[0].values))]
    known = [mean for mean in means if mean is not None]
    return TrialResult(tuple(known)) if len(known) == len(means) else FAILED


def _mean(ended: Sequence[RunResult], place: int) -> float | None:
    values = [each.values[place] for each in ended]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None

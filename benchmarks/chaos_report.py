"""What a disturbed sweep left, beside what the same sweep left alone."""

import dataclasses
from collections import Counter
from typing import Any

import raysweep

CHECKPOINT_S = 1.0
PACK = 10
WORKERS = 2
SLACK = 2  # the clock is looked at once a second, and machines are noisy
ROWS = ["run_id", "seed", "status", "steps", "metric.train_loss", "metric.expected_loss"]


@dataclasses.dataclass
class Outcome:
    """What a sweep left.

    Args:
        rows: One for each run, sorted, without what may differ between two trainings of it.
        curves: Rows of curves, sorted.
        repeated: Steps executed beyond those of the runs, all runs together.
        rows_of_runs: Rows of `runs` as stored.
        steps_per_s: Of the fastest pack, all its runs together.
    """

    rows: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    repeated: int
    rows_of_runs: int
    steps_per_s: float


def outcome(store: str) -> Outcome:
    """Reads a store."""
    results = raysweep.open(store, "chaos")
    runs = results.runs()
    rows = sorted(runs.select(ROWS).to_pylist(), key=lambda row: row["run_id"])
    curves = results.curves().drop_columns(["seconds"]).to_pylist()
    told = results.sql(
        "select sum(steps_executed - steps) as repeated, "
        "max(replicas * steps / nullif(seconds * replicas, 0)) as speed from runs"
    ).to_pylist()[0]
    return Outcome(
        rows,
        sorted(curves, key=lambda row: (row["run_id"], row["step"])),
        int(told["repeated"]),
        runs.num_rows,
        float(told["speed"]),
    )


@dataclasses.dataclass
class Report:
    """A disturbed sweep beside an undisturbed one.

    Args:
        faults: How often each was done.
        exits: How often the driver ended with each code.
        retrained: Runs trained anew as their curves were damaged.
        seconds: Time of the disturbed and of the undisturbed sweep.
        disturbed: What the disturbed sweep left.
        alone: What the undisturbed one left.
    """

    faults: Counter[str]
    exits: Counter[int]
    retrained: int
    seconds: tuple[float, float]
    disturbed: Outcome
    alone: Outcome

    @property
    def allowed(self) -> float:
        """Steps that may be repeated, all runs together.

        Whatever ends a driver or a worker repeats, of each pack in flight, what was trained since
        its last checkpoint; damage repeats at most a pack.
        """
        ends = sum(count for code, count in self.exits.items() if code != 0)
        ends += sum(self.faults[kind] for kind in ("worker killed", "raylet killed", "node lost"))
        damaged = self.faults["bit flipped"] + self.faults["file truncated"]
        steps = max(row["steps"] for row in self.alone.rows)
        since_checkpoint = SLACK * (CHECKPOINT_S + 1) * self.disturbed.steps_per_s
        return WORKERS * ends * since_checkpoint + damaged * PACK * steps

    @property
    def differences(self) -> list[str]:
        """What is not as it must be; nothing, if all is well."""
        found = [
            *_unequal("rows of runs", self.disturbed.rows, self.alone.rows),
            *_unequal("curves", self.disturbed.curves, self.alone.curves),
        ]
        if self.disturbed.rows_of_runs != len({row["run_id"] for row in self.disturbed.rows}):
            found.append("a run has several rows")
        if self.disturbed.repeated > self.allowed:
            found.append(f"more steps repeated than the checkpoints allow ({self.allowed:.0f})")
        return found

    def text(self) -> str:
        """The figures, a line each."""
        disturbed_s, alone_s = self.seconds
        total = sum(row["steps"] for row in self.alone.rows)
        lines = [
            f"{len(self.alone.rows)} runs, {total} steps",
            f"faults: {dict(sorted(self.faults.items()))}",
            f"exit codes of the driver: {dict(sorted(self.exits.items()))}",
            f"steps repeated: {self.disturbed.repeated} ({self.disturbed.repeated / total:.1%})",
            f"runs trained anew for damaged curves: {self.retrained}",
            f"time: {disturbed_s:.0f} s, undisturbed {alone_s:.0f} s "
            f"(ratio {disturbed_s / alone_s:.1f})",
            f"differences: {', '.join(self.differences) or 'none'}",
        ]
        return "\n".join(lines)


def _unequal(what: str, disturbed: list[dict[str, Any]], alone: list[dict[str, Any]]) -> list[str]:
    """How many rows stand on one side alone, and the first of each side; nothing, if none do."""
    sides = [Counter(map(repr, rows)) for rows in (disturbed, alone)]
    extra, missing = sides[0] - sides[1], sides[1] - sides[0]
    if not extra and not missing:
        return []
    example = "; ".join(
        f"{name} {next(iter(side))}"
        for name, side in (("first too many:", extra), ("first missing:", missing))
        if side
    )
    return [f"{what} differ: {extra.total()} too many, {missing.total()} missing ({example})"]

"""Early stopping with stored decisions, which an executor creates once per session."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.search.judge import Judge
from raysweep.store.decisions import DECISIONS, Decisions, batches
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.store.watch import DriverWatch
from raysweep.sweep.early_stopping import Decision
from raysweep.sweep.options import EarlyStopping


class StoredEarlyStopper:
    """Early stopping that stores its decisions.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.
        token: Lease token of the driver.
        stopping: `EarlyStopping` as plain data: the pruner and its settings.
    """

    def __init__(self, store: str, sweep: str, token: str, stopping: Mapping[str, Any]) -> None:
        self.store = SweepStore(store, sweep)
        self.watch = DriverWatch(self.store.files, token)
        self.store.files = self.store.files.with_patience(Patience(self.watch.guard))
        self.stopping = EarlyStopping(**stopping)
        self.decisions = Decisions(self.store.files)
        self.judge = Judge(self.stopping, self._record)
        self._lengths: dict[str, tuple[int, int]] = {}  # lengths of arms, by configuration
        self._runs: dict[str, list[str]] = {}

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """Add a configuration to an arm; see `EarlyStopper`."""
        self._lengths[configuration_id] = length
        self._runs[configuration_id] = list(run_ids)
        self.judge.opened(arm, length, configuration_id, run_ids)

    def lost(self, run_id: str) -> None:
        """Note that a run failed for good; see `EarlyStopper`."""
        self.judge.lost(run_id)

    def ask(self, step: int, values: Mapping[str, float | None], last: bool) -> list[str]:
        """Return the ids of the runs that a pack must stop; see `EarlyStopper`."""
        return self.judge.ask(step, values, last)

    def begin(self) -> None:
        """Restore the decisions of earlier sessions; see `EarlyStopper`.

        Configurations that ended without early stopping, or that were compared by another metric,
        count with their curves.
        """
        by_metric = pc.field("metric") == self.stopping.metric
        table = self.store.read(self.store.dataset("decisions", DECISIONS), where=by_metric)
        earlier = batches(table)
        self.judge.restore(earlier)
        judged = {decision.configuration_id for batch in earlier for decision in batch}
        for batch in self._from_curves(judged):
            self._record(batch)
            self.judge.restore([batch])

    def _record(self, decisions: Sequence[Decision]) -> None:
        self.store.files.patiently(self.watch.check)
        self.decisions.write(decisions, self.stopping.metric)

    def _from_curves(self, judged: set[str]) -> Iterator[list[Decision]]:
        """Yield the decisions on configurations that ended without any, step by step."""
        rows = self.store.read(self.store.dataset("runs"), ["run_id", "status", "steps"])
        ends = {
            row["run_id"]: (row["steps"], row["status"])
            for row in rows.to_pylist()
            if row["status"] in ("done", "stopped") and row["steps"]
        }
        ended = {
            key: run_ids
            for key, run_ids in self._runs.items()
            if key not in judged and all(run_id in ends for run_id in run_ids)
        }
        last = {key: min(ends[run_id] for run_id in run_ids) for key, run_ids in ended.items()}
        rungs = {step for key in ended for step in self.stopping.rungs(*self._lengths[key])}
        steps = sorted(rungs | {step for step, _ in last.values()})
        values = self._curve_means(ended, steps)
        for step in steps:
            deciding = [
                Decision(key, step, values[key, step], last[key] == (step, "stopped"), False)
                for key in ended
                if (key, step) in values and last[key] != (step, "done")
            ]
            ending = [
                Decision(key, step, values[key, step], False, True)
                for key in ended
                if (key, step) in values and last[key] == (step, "done")
            ]
            yield from (batch for batch in (deciding, ending) if batch)

    def _curve_means(
        self, configurations: Mapping[str, Sequence[str]], steps: Sequence[int]
    ) -> dict[tuple[str, int], float]:
        """Return the means over seeds of the compared metric, where every seed has a value."""
        metric = self.stopping.metric
        owner = {run: key for key, runs in configurations.items() for run in runs}
        curves = self.store.dataset("curves")
        if not owner or metric not in curves.schema.names:
            return {}
        at_steps = pc.field("step").isin(steps) & pc.field("run_id").isin(list(owner))
        rows = self.store.read(curves, ["run_id", "step", metric], at_steps)
        keys = pa.array([owner[run_id] for run_id in rows["run_id"].to_pylist()], pa.string())
        grouped = rows.append_column("key", keys).group_by(["key", "step"])
        means = grouped.aggregate([(metric, "mean"), (metric, "count")]).to_pylist()
        return {
            (row["key"], row["step"]): row[f"{metric}_mean"]
            for row in means
            if row[f"{metric}_count"] == len(configurations[row["key"]])
        }

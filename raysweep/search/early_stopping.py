"""Early stopping whose decisions are stored; the executor creates it once per session."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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


class StoredEarlyStopper(Judge):
    """Early stopping whose decisions are in a store.

    Args:
        store: Path or URI of the store.
        sweep: Name of the sweep.
        token: Lease token of the driver.
        stopping: `EarlyStopping` as plain data: the pruner and its settings.
    """

    def __init__(self, store: str, sweep: str, token: str, stopping: Mapping[str, Any]) -> None:
        super().__init__(EarlyStopping(**stopping), self._record)
        self.store = SweepStore(store, sweep)
        self.watch = DriverWatch(self.store.files, token)
        self.store.files = self.store.files.with_patience(Patience(self.watch.guard))
        self.decisions = Decisions(self.store.files)
        self._lengths: dict[str, tuple[int, int]] = {}  # lengths of arms, by configuration

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """Add a configuration to an arm; see `EarlyStopper`."""
        self._lengths[configuration_id] = length
        super().opened(arm, length, configuration_id, run_ids)

    def begin(self) -> None:
        """Restore the decisions of earlier sessions; see `EarlyStopper`.

        Configurations that ended before anything was judged, or were judged by another metric,
        take part with their curves.
        """
        same_metric = pc.field("metric") == self.stopping.metric
        table = self.store.read(self.store.dataset("decisions", DECISIONS), where=same_metric)
        before = batches(table)
        self.restore(before)
        judged = {decision.configuration_id for batch in before for decision in batch}
        for batch in self._from_curves(judged):
            self._record(batch)
            self.restore([batch])

    def _record(self, decisions: Sequence[Decision]) -> None:
        self.store.files.patiently(self.watch.check)
        self.decisions.write(decisions, self.stopping.metric)

    def _from_curves(self, judged: set[str]) -> Iterator[list[Decision]]:
        """Yield the decisions on configurations that ended unjudged, step by step."""
        rows = self.store.read(self.store.dataset("runs"), ["run_id", "status", "steps"])
        ends = {
            row["run_id"]: (row["steps"], row["status"])
            for row in rows.to_pylist()
            if row["status"] in ("done", "stopped") and row["steps"]
        }
        ended = {
            key: run_ids
            for key, run_ids in self._members.items()
            if key not in judged and all(run_id in ends for run_id in run_ids)
        }
        last = {key: min(ends[run_id] for run_id in run_ids) for key, run_ids in ended.items()}
        rungs = {step for key in ended for step in self.stopping.rungs(*self._lengths[key])}
        steps = sorted(rungs | {step for step, _ in last.values()})
        values = self._curve_means(ended, steps)
        for step in steps:
            decisions = [
                Decision(key, step, values[key, step], last[key] == (step, "stopped"), False)
                for key in ended
                if (key, step) in values and last[key] != (step, "done")
            ]
            final_decisions = [
                Decision(key, step, values[key, step], False, True)
                for key in ended
                if (key, step) in values and last[key] == (step, "done")
            ]
            yield from filter(None, (decisions, final_decisions))

    def _curve_means(
        self, configurations: Mapping[str, Collection[str]], steps: Sequence[int]
    ) -> dict[tuple[str, int], float]:
        """Return means over seeds of the judged metric, where every seed has a value."""
        metric = self.stopping.metric
        owner = {run: key for key, runs in configurations.items() for run in runs}
        curves = self.store.dataset("curves")
        if not owner or metric not in curves.schema.names:
            return {}
        here = pc.field("step").isin(steps) & pc.field("run_id").isin(list(owner))
        rows = self.store.read(curves, ["run_id", "step", metric], here)
        keys = pa.array([owner[run_id] for run_id in rows["run_id"].to_pylist()], pa.string())
        grouped = rows.append_column("key", keys).group_by(["key", "step"])
        means = grouped.aggregate([(metric, "mean"), (metric, "count")]).to_pylist()
        return {
            (row["key"], row["step"]): row[f"{metric}_mean"]
            for row in means
            if row[f"{metric}_count"] == len(configurations[row["key"]])
        }

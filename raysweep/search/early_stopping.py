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
        store: The store's path or URI.
        sweep: The sweep's name.
        token: The driver's lease token.
        stopping: How to judge: `EarlyStopping` as plain data.
    """

    def __init__(self, store: str, sweep: str, token: str, stopping: Mapping[str, Any]) -> None:
        super().__init__(EarlyStopping(**stopping), self._record)
        self.store = SweepStore(store, sweep)
        self.watch = DriverWatch(self.store.files, token)
        self.store.files = self.store.files.with_patience(Patience(self.watch.guard))
        self.decisions = Decisions(self.store.files)
        self._lengths: dict[str, tuple[int, int]] = {}  # of the arm a configuration belongs to

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """An arm has a configuration; see `EarlyStopper`."""
        self._lengths[configuration_id] = length
        super().opened(arm, length, configuration_id, run_ids)

    def begin(self) -> None:
        """Takes over what earlier sessions decided; see `EarlyStopper`.

        Configurations that ended before anything was judged, or were judged by another metric,
        take part with their curves.
        """
        mine = pc.field("metric") == self.stopping.metric
        table = self.store.read(self.store.dataset("decisions", DECISIONS), where=mine)
        before = batches(table)
        self.restore(before)
        judged = {each.configuration_id for sitting in before for each in sitting}
        for sitting in self._from_curves(judged):
            self._record(sitting)
            self.restore([sitting])

    def _record(self, decisions: Sequence[Decision]) -> None:
        self.store.files.patiently(self.watch.check)
        self.decisions.write(decisions, self.stopping.metric)

    def _from_curves(self, judged: set[str]) -> Iterator[list[Decision]]:
        """What would have been put down of configurations that ended unjudged, step by step."""
        rows = self.store.read(self.store.dataset("runs"), ["run_id", "status", "steps"])
        ends = {
            row["run_id"]: (row["steps"], row["status"])
            for row in rows.to_pylist()
            if row["status"] in ("done", "stopped") and row["steps"]
        }
        ended = {
            key: run_ids
            for key, run_ids in self._members.items()
            if key not in judged and all(each in ends for each in run_ids)
        }
        last = {key: min(ends[each] for each in run_ids) for key, run_ids in ended.items()}
        rungs = {step for key in ended for step in self.stopping.rungs(*self._lengths[key])}
        steps = sorted(rungs | {step for step, _ in last.values()})
        values = self._curve_means(ended, steps)
        for step in steps:
            sitting = [
                Decision(key, step, values[key, step], last[key] == (step, "stopped"), False)
                for key in ended
                if (key, step) in values and last[key] != (step, "done")
            ]
            ending = [
                Decision(key, step, values[key, step], False, True)
                for key in ended
                if (key, step) in values and last[key] == (step, "done")
            ]
            yield from (each for each in (sitting, ending) if each)

    def _curve_means(
        self, configurations: Mapping[str, Collection[str]], steps: Sequence[int]
    ) -> dict[tuple[str, int], float]:
        """Means over seeds of the judged metric, where every seed has a value."""
        metric = self.stopping.metric
        owner = {run: key for key, runs in configurations.items() for run in runs}
        curves = self.store.dataset("curves")
        if not owner or metric not in curves.schema.names:
            return {}
        here = pc.field("step").isin(steps) & pc.field("run_id").isin(list(owner))
        rows = self.store.read(curves, ["run_id", "step", metric], here)
        keys = pa.array([owner[each] for each in rows["run_id"].to_pylist()], pa.string())
        grouped = rows.append_column("key", keys).group_by(["key", "step"])
        means = grouped.aggregate([(metric, "mean"), (metric, "count")]).to_pylist()
        return {
            (row["key"], row["step"]): row[f"{metric}_mean"]
            for row in means
            if row[f"{metric}_count"] == len(configurations[row["key"]])
        }

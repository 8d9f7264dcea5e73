"""Early stopping in memory: decisions at rungs, by the mean over seeds.

A pack asks when it reaches a rung; the answer is the runs that it must stop. Every decision is
recorded before it is answered, so that a pack that was killed and asks again gets the same answer,
and the decisions of a sweep can be replayed in their order.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from raysweep.search.pruners import Rungs
from raysweep.sweep.early_stopping import Decision
from raysweep.sweep.options import EarlyStopping


class Judge:
    """Early stopping of a sweep, in memory.

    Configurations are compared within their arm. One that two arms share is stopped only if both
    arms stop it. A configuration whose seeds are spread over packs is compared when the last of
    them reaches the rung, and its other seeds stop when they ask next.

    Args:
        stopping: Pruner and its settings.
        record: Function that stores decisions, called before they are answered.
    """

    def __init__(
        self, stopping: EarlyStopping, record: Callable[[Sequence[Decision]], None]
    ) -> None:
        self.stopping, self.record = stopping, record
        self._arms: dict[str, Rungs] = {}
        self._owners: dict[str, list[str]] = {}  # arms, by configuration
        self._members: dict[str, set[str]] = {}  # run ids, by configuration
        self._configuration: dict[str, str] = {}  # by run id
        self._waiting: dict[tuple[str, int], dict[str, float | None]] = {}
        self._decided: set[tuple[str, int]] = set()
        self._stopped: dict[str, int] = {}  # step of the stop, by configuration
        self._lost: set[str] = set()
        self._past: dict[str, list[Decision]] = {}  # by configuration

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """Add a configuration to an arm; see `EarlyStopper`."""
        if arm not in self._arms:
            self._arms[arm] = Rungs(self.stopping, *length)
        owners = self._owners.setdefault(configuration_id, [])
        if arm not in owners:
            owners.append(arm)
            self._catch_up(arm, configuration_id)
        self._members[configuration_id] = set(run_ids)
        self._configuration.update(dict.fromkeys(run_ids, configuration_id))

    def lost(self, run_id: str) -> None:
        """Note that a run failed for good; see `EarlyStopper`."""
        self._lost.add(self._configuration[run_id])

    def ask(self, step: int, values: Mapping[str, float | None], last: bool) -> list[str]:
        """Return the ids of the runs that a pack must stop; see `EarlyStopper`."""
        due: dict[str, float | None] = {}
        for run_id, value in values.items():
            configuration_id = self._configuration.get(run_id)
            key = (configuration_id or "", step)
            if configuration_id is None or configuration_id in self._stopped:
                continue
            if key not in self._decided and configuration_id in self._lost:
                due[configuration_id] = None
            elif key not in self._decided:
                waiting = self._waiting.setdefault(key, {})
                waiting[run_id] = value
                if None in waiting.values():
                    due[configuration_id] = None
                elif waiting.keys() >= self._members[configuration_id]:
                    known = [other for other in waiting.values() if other is not None]
                    due[configuration_id] = statistics.fmean(known)
        self._decide(step, due, last)
        return [
            run_id
            for run_id, value in values.items()
            if value is not None and self._left(run_id) <= step
        ]

    def restore(self, batches: Iterable[Sequence[Decision]]) -> None:
        """Restore the decisions of earlier sessions, batch by batch, in order."""
        for decisions in batches:
            if decisions:
                self._enter(decisions[0].step, {d.configuration_id: d.value for d in decisions})
                self._settle(decisions)

    def _left(self, run_id: str) -> float:
        """Return the step at which a run was stopped; a resumed pack may reach it once more."""
        return self._stopped.get(self._configuration.get(run_id, ""), math.inf)

    def _decide(self, step: int, due: Mapping[str, float | None], last: bool) -> None:
        if not due:
            return
        self._enter(step, due)
        decisions = [
            Decision(key, step, value, not last and self._loses(key, value), last)
            for key, value in due.items()
        ]
        self.record(decisions)
        self._settle(decisions)

    def _enter(self, step: int, values: Mapping[str, float | None]) -> None:
        for arm, rungs in self._arms.items():
            of_arm = {
                key: value
                for key, value in values.items()
                if value is not None and arm in self._owners.get(key, ())
            }
            rungs.enter(step, of_arm)

    def _catch_up(self, arm: str, configuration_id: str) -> None:
        """Apply earlier decisions on a configuration to an arm that opens it later."""
        for decision in self._past.get(configuration_id, ()):
            if decision.value is not None:
                self._arms[arm].enter(decision.step, {configuration_id: decision.value})
                if decision.last:
                    self._arms[arm].finish(configuration_id)

    def _loses(self, configuration_id: str, value: float | None) -> bool:
        """Check whether a configuration is stopped: it is poor, or a seed of it diverged."""
        if value is None or math.isnan(value):
            return True  # with a diverged seed it cannot be selected any more
        owners = self._owners[configuration_id]
        return all(self._arms[arm].is_poor(configuration_id) for arm in owners)

    def _settle(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            configuration_id, step = decision.configuration_id, decision.step
            self._decided.add((configuration_id, step))
            self._past.setdefault(configuration_id, []).append(decision)
            self._waiting.pop((configuration_id, step), None)
            if decision.stopped:
                self._stopped.setdefault(configuration_id, step)
            if decision.last and decision.value is not None:
                for arm in self._owners.get(configuration_id, ()):
                    self._arms[arm].finish(configuration_id)

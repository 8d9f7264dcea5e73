"""Judges configurations at their rungs, by the mean over their seeds.

A pack asks where it reaches a rung; the judge answers which runs leave. Every decision is put down
before it is answered, so that a pack which was killed and asks again gets the same answer, and the
decisions of a sweep can be followed in their order.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from raysweep.search.pruners import Rungs
from raysweep.sweep.early_stopping import Decision
from raysweep.sweep.options import EarlyStopping


class Judge:
    """The judge of a sweep.

    Configurations never meet those of another arm. One that two arms share is stopped only if
    both would. A configuration whose seeds are spread over packs is judged when the last of them
    reaches the rung, and its other seeds leave when they ask next.

    Args:
        stopping: How to judge.
        record: Puts decisions down; called before they are answered.
    """

    def __init__(
        self, stopping: EarlyStopping, record: Callable[[Sequence[Decision]], None]
    ) -> None:
        self.stopping, self.record = stopping, record
        self._arms: dict[str, Rungs] = {}
        self._owners: dict[str, list[str]] = {}  # arms of a configuration
        self._members: dict[str, set[str]] = {}  # its runs
        self._configuration: dict[str, str] = {}  # of a run
        self._waiting: dict[tuple[str, int], dict[str, float | None]] = {}
        self._decided: set[tuple[str, int]] = set()
        self._stopped: dict[str, int] = {}  # the step at which
        self._lost: set[str] = set()
        self._past: dict[str, list[Decision]] = {}  # of a configuration

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """An arm has a configuration; see `EarlyStopper`."""
        if arm not in self._arms:
            self._arms[arm] = Rungs(self.stopping, *length)
        owners = self._owners.setdefault(configuration_id, [])
        if arm not in owners:
            owners.append(arm)
            self._catch_up(arm, configuration_id)
        self._members[configuration_id] = set(run_ids)
        self._configuration.update(dict.fromkeys(run_ids, configuration_id))

    def lost(self, run_id: str) -> None:
        """A run failed for good; see `EarlyStopper`."""
        self._lost.add(self._configuration[run_id])

    def ask(self, step: int, values: Mapping[str, float | None], last: bool) -> list[str]:
        """Which runs of a pack leave; see `EarlyStopper`."""
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
                    known = [each for each in waiting.values() if each is not None]
                    due[configuration_id] = statistics.fmean(known)
        self._decide(step, due, last)
        return [
            run_id
            for run_id, value in values.items()
            if value is not None and self._left(run_id) <= step
        ]

    def restore(self, batches: Iterable[Sequence[Decision]]) -> None:
        """Takes over what was decided in earlier sessions, sitting by sitting, in order."""
        for decisions in batches:
            if decisions:
                self._enter(decisions[0].step, {d.configuration_id: d.value for d in decisions})
                self._settle(decisions)

    def _left(self, run_id: str) -> float:
        """The step at which a run's configuration was stopped: a pack may come there once more."""
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
            own = {
                key: value
                for key, value in values.items()
                if value is not None and arm in self._owners.get(key, ())
            }
            rungs.enter(step, own)

    def _catch_up(self, arm: str, configuration_id: str) -> None:
        """What was decided on a configuration before the arm had it counts for the arm too."""
        for each in self._past.get(configuration_id, ()):
            if each.value is not None:
                self._arms[arm].enter(each.step, {configuration_id: each.value})
                if each.last:
                    self._arms[arm].finish(configuration_id)

    def _loses(self, configuration_id: str, value: float | None) -> bool:
        """A diverged seed loses the configuration: it could not be selected any more."""
        if value is None or math.isnan(value):
            return True
        owners = self._owners[configuration_id]
        return all(self._arms[arm].is_poor(configuration_id) for arm in owners)

    def _settle(self, decisions: Sequence[Decision]) -> None:
        for each in decisions:
            self._decided.add((each.configuration_id, each.step))
            self._past.setdefault(each.configuration_id, []).append(each)
            self._waiting.pop((each.configuration_id, each.step), None)
            if each.stopped:
                self._stopped.setdefault(each.configuration_id, each.step)
            if each.last and each.value is not None:
                for arm in self._owners.get(each.configuration_id, ()):
                    self._arms[arm].finish(each.configuration_id)

"""Estimate of the time that a session still takes."""

import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from raysweep.sweep.packs import Pack

if TYPE_CHECKING:
    from raysweep.scheduling.scheduler import Schedule

Arm = tuple[str, str]  # labels of task and estimator
MIN_SHARE = 0.02  # of a pack's steps, before its pace counts
MAX_OVERHEAD = 20.0


class _Pace:
    """Pace of a pack in training, from its first report to its last.

    Args:
        step: Step of the first report.
        steps: Number of steps of its runs.
        now: Time of the report, in seconds.
    """

    def __init__(self, step: int, steps: int, now: float) -> None:
        self.first = self.last = step
        self.steps, self.began, self.now = max(1, steps), now, now

    def note(self, step: int, now: float) -> None:
        """Note that the pack has reached a step."""
        self.last, self.now = step, now

    @property
    def trained_s(self) -> float:
        """Seconds between the first report and the last."""
        return self.now - self.began

    @property
    def whole_s(self) -> float | None:
        """Estimated seconds of all steps; None while too little was trained."""
        share = (self.last - self.first) / self.steps
        return self.trained_s / share if share >= MIN_SHARE and self.trained_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until the last step; None while too little was trained."""
        whole = self.whole_s
        return None if whole is None else whole * (1 - self.last / self.steps)


class TimeLeft:
    """Estimates the time left from the training time of runs that ended, arm by arm.

    Time in which a worker does not train (it starts, evaluates, waits) is estimated from this
    session: by how much longer it took than the training that was done in it.

    Args:
        schedule: The schedule of the session.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, schedule: "Schedule", clock: Callable[[], float]) -> None:
        self.schedule, self.clock = schedule, clock
        self.began: float | None = None  # at the first pack
        self.before = set(schedule.ended)
        self.paces: dict[str, _Pace] = {}

    def note(self, progress: Mapping[str, Any]) -> None:
        """Note that a pack started, or the step that it has reached."""
        now = self.clock()
        if self.began is None:
            self.began = now
        if "began" in progress:
            return
        pace = self.paces.get(progress["pack_id"])
        if pace is None:
            step, steps = progress["step"], progress["steps"]
            self.paces[progress["pack_id"]] = _Pace(step, steps, now)
        else:
            pace.note(progress["step"], now)

    @property
    def seconds(self) -> float | None:
        """Estimated seconds left; None while no training has been measured."""
        costs = self._costs()
        if not costs or self.began is None:
            return None
        usual = statistics.fmean(costs.values())
        packs = list(self.schedule.in_flight.values())
        in_packs = {run.run_id for pack in packs for run in pack.runs}
        in_flight = [self._left_of(pack, _cost_of(pack.arm, costs)) for pack in packs]
        waiting = sum(
            _cost_of((member.arm.task_label, member.arm.estimator_label), costs)
            for run_id, member in self.schedule.planned.copy().items()
            if run_id not in self.schedule.ended and run_id not in in_packs
        )
        workers = self.schedule.size.workers if self.schedule.size else 1
        work = sum(in_flight) + waiting + self.schedule.to_come * usual
        return max(work / workers, max(in_flight, default=0.0)) * self._overhead(workers)

    def _costs(self) -> dict[Arm, float]:
        """Return the seconds of a worker that a run takes, by the labels of its arm."""
        seconds: dict[Arm, list[float]] = {}
        for run_id, result in self.schedule.ended.copy().items():
            member = self.schedule.planned.get(run_id)
            if member is not None and result.status == "done" and result.seconds > 0:
                key = member.arm.task_label, member.arm.estimator_label
                seconds.setdefault(key, []).append(result.seconds)
        costs = {arm: statistics.fmean(values) for arm, values in seconds.items()}
        for pack in list(self.schedule.in_flight.values()):
            pace = self.paces.get(pack.pack_id)
            if pack.arm not in costs and pace is not None and pace.whole_s is not None:
                costs[pack.arm] = pace.whole_s / len(pack.runs)
        return costs

    def _left_of(self, pack: Pack, cost: float) -> float:
        """Return the estimated seconds of a worker that a pack in flight still takes."""
        pace = self.paces.get(pack.pack_id)
        if pace is not None and pace.left_s is not None:
            return pace.left_s
        share = 1 - pace.last / pace.steps if pace is not None else 1.0
        return cost * len(pack.runs) * share

    def _overhead(self, workers: int) -> float:
        """Return by how much longer the session took than the training done in it."""
        trained = sum(
            result.seconds
            for run_id, result in self.schedule.ended.copy().items()
            if run_id not in self.before
        )
        packs = list(self.schedule.in_flight)
        trained += sum(self.paces[pack].trained_s for pack in packs if pack in self.paces)
        elapsed = self.clock() - (self.began or 0.0)
        busy = min(workers, max(1, len(self.paces)))
        return min(MAX_OVERHEAD, max(1.0, elapsed * busy / trained)) if trained > 0 else 1.0


def _cost_of(arm: Arm, costs: Mapping[Arm, float]) -> float:
    """Return the seconds of a run of an arm: its own, or as usual for its task, or for all."""
    if arm in costs:
        return costs[arm]
    of_task = [cost for other, cost in costs.items() if other[0] == arm[0]]
    return statistics.fmean(of_task or costs.values())

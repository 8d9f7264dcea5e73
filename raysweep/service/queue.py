"""The order in which submitted sweeps start: by priority, with a fair share for each user."""

import dataclasses
import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most sweeps that run at the same time.

    Args:
        running: Largest number of sweeps of all users.
        per_user: Largest number of sweeps of one user.
    """

    running: int
    per_user: int


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Sweep that waits for its driver to start.

    Args:
        sweep: Name of the sweep.
        owner: Name of the user who submitted it.
        priority: Sweeps of higher priority start first.
        submitted_at: Time of submission, in seconds since 1970.
    """

    sweep: str
    owner: str
    priority: int
    submitted_at: float


def in_order(waiting: Iterable[Waiting], running: Iterable[str]) -> list[Waiting]:
    """Return waiting sweeps in the order in which they start, if no limit holds any back.

    The highest priority is first; of one priority, the sweep of the user with the fewest sweeps
    that run or start before it; of one user, the earliest submission.

    Args:
        waiting: Sweeps that wait.
        running: Owner of each sweep that runs.
    """
    share = Counter(running)
    by_priority: dict[int, dict[str, list[Waiting]]] = {}
    for sweep in waiting:
        by_priority.setdefault(sweep.priority, {}).setdefault(sweep.owner, []).append(sweep)
    order = []
    for _, by_owner in sorted(by_priority.items(), reverse=True):
        queues = {owner: deque(sorted(sweeps, key=_age)) for owner, sweeps in by_owner.items()}
        heads = [(share[owner], *_age(queue[0]), owner) for owner, queue in queues.items()]
        heapq.heapify(heads)
        while heads:
            *_, owner = heapq.heappop(heads)
            queue = queues[owner]
            order.append(queue.popleft())
            share[owner] += 1
            if queue:
                heapq.heappush(heads, (share[owner], *_age(queue[0]), owner))
    return order


def _age(sweep: Waiting) -> tuple[float, str]:
    return sweep.submitted_at, sweep.sweep


def to_start(waiting: Iterable[Waiting], running: Sequence[str], limits: Limits) -> list[Waiting]:
    """Return the waiting sweeps that may start now, in order.

    A user who has reached the limit does not hold back others.

    Args:
        waiting: Sweeps that wait.
        running: Owner of each sweep that runs.
        limits: The most sweeps that run at the same time.
    """
    share = Counter(running)
    free = limits.running - len(running)
    starting: list[Waiting] = []
    candidates = list(waiting)
    while candidates and len(starting) < free:
        allowed = [sweep for sweep in candidates if share[sweep.owner] < limits.per_user]
        if not allowed:
            break
        first = in_order(allowed, share.elements())[0]
        candidates.remove(first)
        share[first.owner] += 1
        starting.append(first)
    return starting

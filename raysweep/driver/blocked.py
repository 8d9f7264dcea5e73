"""Planned runs that can never run, and why."""

import collections

from raysweep.results.unreported import ENDS, reason
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.budget import is_blocked
from raysweep.scheduling.scheduler import Schedule


def reasons(schedule: Schedule) -> list[str]:
    """A line for each arm whose fresh seeds can never run."""
    spec = schedule.spec
    return [
        reason(search.arm.name, len(search.closed), _ends(search), len(spec.report_seeds))
        for search in schedule.arms
        if is_blocked(spec, search, schedule.budget_tracker)
    ]


def _ends(search: ArmSearch) -> collections.Counter[str]:
    """The number of closed configurations by their end; the worst of their seeds counts."""
    counts: collections.Counter[str] = collections.Counter()
    for configuration_id in search.closed:
        statuses = {each.status for each in search.runs.of(search.members[configuration_id])}
        counts.update([each for each in ENDS if each in statuses][:1])
    return counts

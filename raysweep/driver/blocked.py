"""Arms whose fresh seeds can never run, and the reasons."""

import collections

from raysweep.results.unreported import ENDS, reason
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.budget import is_blocked
from raysweep.scheduling.scheduler import Schedule


def reasons(schedule: Schedule) -> list[str]:
    """Return a line for each arm whose fresh seeds can never run."""
    spec = schedule.spec
    return [
        reason(search.arm.name, len(search.closed), _ends(search), len(spec.report_seeds))
        for search in schedule.arms
        if is_blocked(spec, search, schedule.budget_tracker)
    ]


def _ends(search: ArmSearch) -> collections.Counter[str]:
    """Count closed configurations by status, each by the worst of its seeds."""
    counts: collections.Counter[str] = collections.Counter()
    for configuration_id in search.closed:
        statuses = {run.status for run in search.runs.of(search.members[configuration_id])}
        counts.update([status for status in ENDS if status in statuses][:1])
    return counts

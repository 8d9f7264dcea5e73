"""Planned runs that can never run: fresh seeds of arms without a configuration to select."""

import collections
from typing import Protocol

from raysweep.results.unreported import ENDS, reason
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.budget import Allowance
from raysweep.sweep.spec import Spec


def is_blocked(spec: Spec, search: ArmSearch, allowance: Allowance) -> bool:
    """Whether an arm's search is over and left nothing that could run on its fresh seeds."""
    if not spec.report_seeds or search.reported or search.open:
        return False
    over = search.exhausted or not allowance.allows(search)
    return over and search.selected() is None


class Searches(Protocol):
    """The searches of a sweep: a `Schedule`."""

    spec: Spec
    arms: list[ArmSearch]
    allowance: Allowance


def reasons(schedule: Searches) -> list[str]:
    """A line for each arm whose fresh seeds can never run."""
    spec = schedule.spec
    return [
        reason(search.arm.name, len(search.closed), _ends(search), len(spec.report_seeds))
        for search in schedule.arms
        if is_blocked(spec, search, schedule.allowance)
    ]


def _ends(search: ArmSearch) -> collections.Counter[str]:
    """The number of closed configurations by their end; the worst of their seeds counts."""
    counts: collections.Counter[str] = collections.Counter()
    for configuration_id in search.closed:
        statuses = {each.status for each in search.runs.of(search.members[configuration_id])}
        counts.update([each for each in ENDS if each in statuses][:1])
    return counts

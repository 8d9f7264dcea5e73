"""Planned runs that can never run: fresh seeds of arms without a configuration to select."""

import collections
from collections.abc import Mapping, Sequence

from raysweep.search.allowance import Allowance
from raysweep.search.arm_search import ArmSearch
from raysweep.spec.model import Spec

ENDS = ("failed", "diverged", "stopped")


def is_blocked(spec: Spec, search: ArmSearch, allowance: Allowance) -> bool:
    """Whether an arm's search is over and left nothing that could run on its fresh seeds."""
    if not spec.report_seeds or search.reported or search.open:
        return False
    over = search.exhausted or not allowance.allows(search)
    return over and search.selected() is None


def reasons(spec: Spec, searches: Sequence[ArmSearch], allowance: Allowance) -> list[str]:
    """A line for each arm whose fresh seeds cannot run."""
    return [
        reason(search.arm.name, len(search.closed), _ends(search), len(spec.report_seeds))
        for search in searches
        if is_blocked(spec, search, allowance)
    ]


def reason(arm: str, configurations: int, ends: Mapping[str, int], fresh: int) -> str:
    """Why an arm's fresh seeds cannot run.

    Args:
        arm: The arm's name.
        configurations: How many of its configurations were tried.
        ends: How many of them ended as what.
        fresh: The number of its fresh seeds.
    """
    then = f"so its {fresh} report seeds cannot run"
    if not configurations:
        return f"{arm}: the budget has no room for any configuration, {then}; raise the budget"
    told = [f"{ends[each]} {each}" for each in ENDS if ends.get(each)]
    if other := configurations - sum(ends.get(each, 0) for each in ENDS):
        told.append(f"{other} without a value")
    what = f"none of its {configurations} configurations" if configurations > 1 else "its only one"
    return (
        f"{arm}: {what} finished all seeds ({', '.join(told)}), {then}; "
        "change its settings, or leave it out of the file"
    )


def _ends(search: ArmSearch) -> collections.Counter[str]:
    """How many closed configurations ended as what; the worst of their seeds counts."""
    counts: collections.Counter[str] = collections.Counter()
    for configuration_id in search.closed:
        statuses = {each.status for each in search.runs.of(search.members[configuration_id])}
        counts.update(next(([each] for each in ENDS if each in statuses), []))
    return counts

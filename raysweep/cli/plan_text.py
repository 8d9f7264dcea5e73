"""What `plan` prints: arms, configurations, runs, and the packs they form."""

from collections import Counter
from typing import Any

from raysweep.formats.aligned import aligned
from raysweep.sweep.outcomes import ENDS

MAX_PACKS = 30
STANDINGS = (*ENDS, "missing")


def plan_text(schedule: Any) -> str:
    """Arms, configurations, runs done, missing and failed, and the packs they form.

    Args:
        schedule: A `Schedule`, arranged.
    """
    from raysweep.driver.blocked import reasons
    from raysweep.driver.opening import notices

    rows = []
    for state in schedule.arms:
        begun = len(state.open) + len(state.closed)
        total = begun if state.exhausted else state.study.wanted
        counts = Counter(_standing(schedule, run_id) for run_id in state.run_ids)
        rows.append(
            [
                state.arm.name,
                f"{begun}" if begun == total else f"{begun} of {total or 'as many as the budget'}",
                *(counts[each] for each in STANDINGS),
            ]
        )
    text = aligned(["arm", "configurations", *STANDINGS], rows)
    counts = Counter(_standing(schedule, run_id) for run_id in schedule.planned)
    text += f"\n{len(schedule.planned)} runs: " + ", ".join(
        f"{counts[each]} {each}" for each in STANDINGS if counts[each]
    )
    again = sum(
        run_id in schedule.failures for run_id in schedule.planned if run_id not in schedule.ended
    )
    text += f" ({again} of them tried again)\n" if again else "\n"
    text += _plan_notes(schedule)
    text += "".join(f"{line}\n" for line in (*reasons(schedule), *notices(schedule)))
    packs = [
        [pack.pack_id, pack.task, pack.estimator, len(pack.runs)]
        for pack in list(schedule.queue)[:MAX_PACKS]
    ]
    if packs:
        text += f"\n{len(schedule.queue)} packs on this machine's CPUs\n"
        text += aligned(["pack", "task", "estimator", "runs"], packs)
    if len(schedule.queue) > MAX_PACKS:
        text += f"and {len(schedule.queue) - MAX_PACKS} more\n"
    return text


def _plan_notes(schedule: Any) -> str:
    """What is to come, and what bounds it."""
    from raysweep.scheduling.budget import is_blocked

    spec = schedule.spec
    lines = [
        f"{name}: {count} configurations of {spec.search.source} taken as prior observations"
        for name, count in schedule.learnt.items()
    ]
    later = sum(
        not state.exhausted and len(state.closed) + len(state.open) != state.study.wanted
        for state in schedule.arms
    )
    if later:
        lines.append(f"{later} arms will propose more configurations as results come in")
    for budget, whose in ((spec.budget, "the sweep"), (spec.arm_budget, "each arm")):
        if budget:
            limits = [
                f"{amount:g} {unit}"
                for amount, unit in ((budget.hours, "hours of workers"), (budget.runs, "runs"))
                if amount is not None
            ]
            lines.append(f"budget of {whose}: {' and '.join(limits)}")
    waiting = sum(
        not state.reported and not is_blocked(spec, state, schedule.budget_tracker)
        for state in schedule.arms
    )
    if spec.report_seeds and waiting:
        lines.append(
            f"{waiting} arms will run their selected configuration on {len(spec.report_seeds)} "
            "fresh seeds"
        )
    return "".join(f"{line}\n" for line in lines)


def _standing(schedule: Any, run_id: str) -> str:
    if run_id in schedule.ended:
        return schedule.ended[run_id].status
    return "failed" if run_id in schedule.failures else "missing"

"""Text of `raysweep plan`: arms, configurations, runs, and packs."""

from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

from raysweep.formats.grid import NONE, Grid, plain
from raysweep.formats.text import UNLIMITED, Screen, as_text
from raysweep.sweep.outcomes import ENDS
from raysweep.sweep.packs import Pack
from raysweep.sweep.runs import NO_ESTIMATOR
from raysweep.text import counted

MAX_PACKS = 30
STATES = (*ENDS, "missing")


def plan_text(schedule: Any, screen: Screen = UNLIMITED) -> str:
    """Return a table of arms with their runs by state, notes, and the packs to train.

    Args:
        schedule: A `Schedule` whose packs are arranged.
        screen: The room for the tables.
    """
    from raysweep.driver.blocked import reasons
    from raysweep.driver.opening import notices

    rows = []
    for search in schedule.arms:
        begun = len(search.open) + len(search.closed)
        is_over = search.exhausted or not schedule.budget_tracker.is_searching(search)
        total = begun if is_over else search.study.wanted
        counts = _by_state(schedule, search.run_ids)
        rows.append(
            [
                search.arm.name,
                begun if begun == total else f"{begun} of {total or 'those the budget allows'}",
                *(counts[name] for name in STATES),
            ]
        )
    text = as_text([plain(["arm", "configurations", *STATES], rows)], screen)
    text += f"\n{_runs(schedule)}\n"
    text += _plan_notes(schedule)
    text += "".join(f"{line}\n" for line in (*reasons(schedule), *notices(schedule)))
    packs = list(schedule.queue)
    if packs:
        text += f"\n{counted(len(packs), 'pack')}, if trained on this machine's CPUs\n"
        text += as_text([_packs(packs[:MAX_PACKS])], screen)
    if len(packs) > MAX_PACKS:
        text += f"and {len(packs) - MAX_PACKS} more\n"
    return text


def _packs(packs: Sequence[Pack]) -> Grid:
    """Return the table of packs; where no task takes an estimator, it has no column for it."""
    names = [NONE if pack.estimator == NO_ESTIMATOR else pack.estimator for pack in packs]
    if set(names) == {NONE}:
        rows = [[pack.pack_id, pack.task, len(pack.runs)] for pack in packs]
        return plain(["pack", "task", "runs"], rows)
    return plain(
        ["pack", "task", "estimator", "runs"],
        [
            [pack.pack_id, pack.task, name, len(pack.runs)]
            for pack, name in zip(packs, names, strict=True)
        ],
    )


def _runs(schedule: Any) -> str:
    """Return the planned runs by state, and how many there will be in all."""
    planned, total = len(schedule.planned), schedule.total
    counts = _by_state(schedule, schedule.planned.keys())
    states = ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
    retried = len((schedule.planned.keys() & schedule.failures.keys()) - schedule.ended.keys())
    note = f" ({retried} of them failed before and will be retried)" if retried else ""
    if total.runs == planned:
        return f"{counted(planned)}: {states}{note}"
    first = ", which train first" if schedule.missing else ""
    return f"{counted(planned)} so far: {states}{note}{first}; {total.text} in all"


def _plan_notes(schedule: Any) -> str:
    """Return notes on later configurations and runs, and on the budgets that limit them."""
    from raysweep.scheduling.budget import is_blocked

    spec = schedule.spec
    lines = [
        f"{name}: uses {counted(count, 'configuration')} of {spec.search.source} as prior "
        "observations"
        for name, count in schedule.learnt.items()
    ]
    later = sum(
        not search.exhausted
        and schedule.budget_tracker.is_searching(search)
        and len(search.closed) + len(search.open) != search.study.wanted
        for search in schedule.arms
    )
    if later:
        lines.append(f"{counted(later, 'arm')} will propose more configurations as results come in")
    for budget, scope in ((spec.budget, "the sweep"), (spec.arm_budget, "each arm")):
        if budget:
            limits = [
                f"{amount:g} {unit if amount == 1 else f'{unit}s'}"
                for amount, unit in ((budget.hours, "worker hour"), (budget.runs, "run"))
                if amount is not None
            ]
            lines.append(f"budget of {scope}: {' and '.join(limits)}")
    waiting = sum(
        not search.reported and not is_blocked(spec, search, schedule.budget_tracker)
        for search in schedule.arms
    )
    if spec.report_seeds and waiting:
        lines.append(
            f"{counted(waiting, 'arm')} will run {'its' if waiting == 1 else 'their'} selected "
            f"configuration on {counted(len(spec.report_seeds), 'fresh seed')}"
        )
    return "".join(f"{line}\n" for line in lines)


def _by_state(schedule: Any, run_ids: Set[str]) -> Counter[str]:
    """Return the number of runs in each state."""
    ended = run_ids & schedule.ended.keys()
    counts = Counter(schedule.ended[run_id].status for run_id in ended)
    retried = len((run_ids & schedule.failures.keys()) - ended)
    counts["failed"] += retried
    counts["missing"] = len(run_ids) - len(ended) - retried
    return counts

"""Arms whose fresh seeds can never run, as none of their configurations can be selected."""

from collections.abc import Mapping

import numpy as np

from raysweep.results.reader import read_ended
from raysweep.results.selection import Planned
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Arm, Spec

ENDS = ("failed", "diverged", "stopped")


def reason(arm: str, configurations: int, ends: Mapping[str, int], fresh: int) -> str:
    """Why an arm's fresh seeds cannot run.

    Args:
        arm: The arm's name.
        configurations: Number of its configurations that were tried.
        ends: Number of those that ended in each of `ENDS`.
        fresh: Number of its fresh seeds.
    """
    then = f"so its {fresh} report seeds cannot run"
    if not configurations:
        return f"{arm}: the budget has no room for any configuration, {then}; raise the budget"
    told = [f"{ends[each]} {each}" for each in ENDS if ends.get(each)]
    if other := configurations - sum(ends.get(each, 0) for each in ENDS):
        told.append(f"{other} without a value")
    what = f"none of its {configurations} configurations finished all seeds"
    if configurations == 1:
        what = "its only configuration did not finish all seeds"
        told = [told[0].removeprefix("1 ")]
    return (
        f"{arm}: {what} ({', '.join(told)}), {then}; change its settings, or leave it out of the "
        "file"
    )


def unreported(spec: Spec, store: SweepStore) -> list[str]:
    """A line for each arm whose search is over, as the rows show, without anything to select.

    Where only a budget ends a search, rows do not show that it is over: there is no line.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not spec.report_seeds:
        return []
    metric = spec.select.metric
    planned = Planned(read_ended(store, spec, [metric], about=["attempts"]), spec)
    found = []
    for arm in spec.arms:
        places = planned.of(arm)
        if _is_over(planned, arm) and not _eligible(planned, metric)[places].any():
            failed, diverged, stopped = (planned.has(each)[places] for each in ENDS)
            ends = {
                "failed": int(failed.sum()),
                "diverged": int((diverged & ~failed).sum()),
                "stopped": int((stopped & ~diverged & ~failed).sum()),
            }
            found.append(reason(arm.name, len(places), ends, len(spec.report_seeds)))
    return found


def _is_over(planned: Planned, arm: Arm) -> bool:
    """Whether all runs of an arm's search ended, and none of them is tried again."""
    spec, runs, places = planned.spec, planned.runs, planned.of(arm)
    if spec.budget or spec.arm_budget:
        return False
    known = [each for each in (arm.size, spec.search.configurations) if each is not None]
    if not known or len(places) < min(known):
        return False
    mine = np.isin(runs.codes, places) & planned.searched
    attempts = np.asarray(runs.table["attempts"].fill_null(0).to_numpy())
    again = runs.with_status("failed") & (attempts < spec.resources.max_failures)
    whole = (planned.rows[places] == len(set(spec.seeds))).all()
    return bool(whole) and not (mine & again).any()


def _eligible(planned: Planned, metric: str) -> np.ndarray:
    """The configurations that could be selected."""
    return planned.complete & ~planned.bad & (planned.means(metric).count == planned.rows)

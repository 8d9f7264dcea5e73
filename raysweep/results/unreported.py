"""Arms whose fresh seeds can never run because no configuration can be selected."""

from collections.abc import Mapping

import numpy as np

from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.reader import read_ended
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.size import wanted_configurations
from raysweep.sweep.spec import Arm, Spec

ENDS = ("failed", "diverged", "stopped")


def reason(arm: str, configurations: int, ends: Mapping[str, int], fresh: int) -> str:
    """Return why an arm's fresh seeds cannot run.

    Args:
        arm: Name of the arm.
        configurations: Number of its configurations that were tried.
        ends: Number of configurations for each of `ENDS`.
        fresh: Number of fresh seeds of the arm.
    """
    effect = f"so its {fresh} report seeds cannot run"
    if not configurations:
        return f"{arm}: the budget has no room for any configuration, {effect}; raise the budget"
    causes = [f"{ends[end]} {end}" for end in ENDS if ends.get(end)]
    if others := configurations - sum(ends.get(end, 0) for end in ENDS):
        causes.append(f"{others} without a value")
    problem = f"none of its {configurations} configurations finished all seeds"
    if configurations == 1:
        problem = "its only configuration did not finish all seeds"
        causes = [causes[0].removeprefix("1 ")]
    return (
        f"{arm}: {problem} ({', '.join(causes)}), {effect}; change its settings, or leave it "
        "out of the file"
    )


def unreported(spec: Spec, store: SweepStore) -> dict[Arm, str]:
    """Return the arms whose search has ended without a configuration to select, with a line each.

    Where only a budget ends a search, the rows do not show its end, and there is no line.

    Raises:
        StoreError: If the store cannot be read.
    """
    if not spec.report_seeds:
        return {}
    metric = spec.select.metric
    stats = ConfigurationStats(read_ended(store, spec, [metric], about=["attempts"]), spec)
    lines = {}
    for arm in spec.arms:
        indices = stats.of(arm)
        if _has_ended(stats, arm) and not _eligible(stats, metric)[indices].any():
            failed, diverged, stopped = (stats.has(end)[indices] for end in ENDS)
            ends = {
                "failed": int(failed.sum()),
                "diverged": int((diverged & ~failed).sum()),
                "stopped": int((stopped & ~diverged & ~failed).sum()),
            }
            lines[arm] = reason(arm.name, len(indices), ends, len(spec.report_seeds))
    return lines


def _has_ended(stats: ConfigurationStats, arm: Arm) -> bool:
    """Return whether all runs of an arm's search ended, and none will be tried again."""
    spec, runs, indices = stats.spec, stats.runs, stats.of(arm)
    if spec.budget or spec.arm_budget:
        return False
    wanted = wanted_configurations(spec, arm)
    if wanted is None or len(indices) < wanted:
        return False
    of_search = np.isin(runs.codes, indices) & stats.searched
    attempts = np.asarray(runs.table["attempts"].fill_null(0).to_numpy())
    retried = runs.with_status("failed") & (attempts < spec.resources.max_failures)
    over = stats.rows[indices] == len(set(spec.seeds))
    if spec.early_stopping is not None and not spec.early_stopping.by_steps:
        over |= stats.bad[indices]  # one bad seed ends a race
    return bool(over.all()) and not (of_search & retried).any()


def _eligible(stats: ConfigurationStats, metric: str) -> np.ndarray:
    """Return the mask of the configurations that can be selected."""
    return stats.complete & ~stats.bad & (stats.means(metric).count == stats.rows)

"""Number of runs that a sweep file plans, and the limit on it."""

from raysweep.errors import SpecError
from raysweep.sweep.spec import Arm, Spec
from raysweep.text import counted

MAX_RUNS = 1_000_000


def planned_runs(spec: Spec) -> int:
    """Return the number of runs that a sweep may plan at most; 0 if only hours limit it."""
    per_arm = spec.arm_budget.runs
    total = 0
    for arm in spec.arms:
        configurations = planned_configurations(spec, arm)
        runs = configurations * len(spec.seeds) + (len(spec.report_seeds) if configurations else 0)
        total += runs if per_arm is None else min(runs, per_arm)
    return total if spec.budget.runs is None else min(total, spec.budget.runs)


def planned_configurations(spec: Spec, arm: Arm) -> int:
    """Return the number of configurations to try of an arm; 0 if only a budget limits it."""
    if spec.search.sampler == "grid":
        return arm.size or 0
    wanted = spec.search.configurations
    return 0 if wanted is None else min(wanted, arm.size or wanted)


def check_size(spec: Spec, max_runs: int | None) -> None:
    """Check the number of runs before any of them is planned, which takes time and memory.

    Args:
        spec: Spec of the sweep.
        max_runs: Largest number of runs; a million if None.

    Raises:
        SpecError: If the sweep plans more.
    """
    limit = MAX_RUNS if max_runs is None else max_runs
    runs = planned_runs(spec)
    if runs > limit:
        largest = max(spec.arms, key=lambda arm: planned_configurations(spec, arm))
        number = planned_configurations(spec, largest)
        raise SpecError(
            f"expected at most {limit:,} {'run' if limit == 1 else 'runs'}, got {runs:,} "
            f"({number:,} {'configuration' if number == 1 else 'configurations'} of "
            f"{largest.name} with {counted(len(spec.seeds), 'seed')}); shorten the lists of "
            "choices, write search: {sampler: random, configurations: N}, or raise this limit",
            field="max_runs",
        )

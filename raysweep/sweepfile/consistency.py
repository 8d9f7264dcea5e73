"""Checks of a sweep file's sections against each other."""

from collections.abc import Iterator

from raysweep.search.samplers import SAMPLERS, make_sampler
from raysweep.sweep.options import EarlyStopping, Search, Select
from raysweep.sweep.spec import Spec
from raysweep.text import counted


def mistakes(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield each mistake, with the section of the file that it is in."""
    for section, mistake in (
        ("select", _selection_mistake(spec.search, spec.select)),
        ("seeds", _report_mistake(spec)),
        ("early_stopping", _racing_mistake(spec.early_stopping, spec.seeds)),
        ("early_stopping", _grace_mistake(spec)),
        ("budget", _budget_mistake(spec)),
    ):
        if mistake:
            yield section, mistake


def _selection_mistake(search: Search, select: Select) -> str | None:
    possible = SAMPLERS[search.sampler].metrics
    if len(select.all) in possible:
        return None
    if select.second is None:
        return (
            f"expected two metrics in select with sampler {search.sampler!r}, which seeks their "
            f"best trade-offs, got one; write select: {{metric: [{select.metric}, OTHER]}}, or "
            "use tpe"
        )
    others = [name for name, sampler in SAMPLERS.items() if 2 in sampler.metrics]
    return (
        f"expected one metric in select with sampler {search.sampler!r}, got two; use "
        f"{', '.join(others[:-1])} or {others[-1]}"
    )


def _report_mistake(spec: Spec) -> str | None:
    if spec.report_seeds and spec.select.second is not None:
        return (
            "expected one metric in select with seeds: {search: N, report: M}, as fresh seeds need "
            "one selected configuration, got two; write seeds as a number or a list"
        )
    return None


def _racing_mistake(stopping: EarlyStopping | None, seeds: tuple[int, ...]) -> str | None:
    if stopping is None or stopping.by_steps or not seeds:
        return None
    start = stopping.settings["start"]
    if start is not None and start >= len(seeds):
        return (
            f"expected racing to start with fewer seeds than the sweep has, got start {start} and "
            f"{counted(len(seeds), 'seed')}; add seeds, or remove early_stopping"
        )
    return None


def _grace_mistake(spec: Spec) -> str | None:
    stopping = spec.early_stopping
    if stopping is None or not stopping.by_steps:
        return None
    grace = stopping.settings["grace"]
    for arm in spec.arms:
        steps, _ = arm.length
        if steps is None:
            return (
                f"expected a known number of steps with early_stopping, as runs are compared while "
                f"they train, but {arm.name} decides on its own; set steps, "
                "give the task's function an argument steps, or remove early_stopping"
            )
        if grace is not None and grace >= steps:
            return (
                f"expected grace below the {counted(steps, 'step')} of {arm.name}, got {grace}, so "
                "that nothing could be stopped; lower grace, raise steps, or remove early_stopping"
            )
        if grace is None and "training.steps" in arm.searched:
            return (
                f"expected grace in early_stopping, as {arm.name} searches steps and its runs must "
                f"be compared at the same ones; write early_stopping: {{pruner: {stopping.pruner}, "
                "grace: N}"
            )
    return None


def _budget_mistake(spec: Spec) -> str | None:
    least = len(spec.seeds) + len(spec.report_seeds)
    for budget, arms_in in ((spec.budget, len(spec.arms)), (spec.arm_budget, 1)):
        needed = least + (arms_in - 1) * len(spec.report_seeds)
        if budget.runs is not None and budget.runs < needed:
            return (
                f"expected a budget of at least {counted(needed)}, enough for one configuration "
                f"and the fresh seeds, got {budget.runs}"
            )
    return None


def sampler_mistake(search: Search) -> str | None:
    """Return Optuna's objection to the sampler's settings; None if it accepts them."""
    try:
        make_sampler(search, seed=0)
    except ValueError as error:
        return f"search with {search.sampler!r}: {error}"
    return None

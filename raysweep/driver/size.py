"""Limit on the number of runs that a sweep file plans."""

from raysweep.errors import SpecError
from raysweep.sweep.size import planned_runs, wanted_configurations
from raysweep.sweep.spec import Spec
from raysweep.text import counted

MAX_RUNS = 1_000_000


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
        raise SpecError(
            f"expected at most {limit:,} {'run' if limit == 1 else 'runs'}, got {runs:,}"
            f"{_largest(spec)}; shorten the lists of choices, write search: {{sampler: random, "
            "configurations: N}, or raise this limit",
            field="max_runs",
        )


def _largest(spec: Spec) -> str:
    """Return a note on the arm with the most configurations; empty if only a budget limits it."""
    numbers = {arm.name: wanted_configurations(spec, arm) or 0 for arm in spec.arms}
    name = max(numbers, key=lambda name: numbers[name])
    if not (number := numbers[name]):
        return ", which the budget allows"
    return (
        f" ({number:,} {'configuration' if number == 1 else 'configurations'} of {name} with "
        f"{counted(len(spec.seeds), 'seed')})"
    )

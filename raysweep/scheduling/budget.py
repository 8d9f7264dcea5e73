"""Limits on the configurations that start: batches in flight, budgets of runs and hours."""

import math
from collections.abc import Sequence

from raysweep.scheduling.arm_search import ArmSearch, Spent
from raysweep.scheduling.state import RunRegistry
from raysweep.sweep.options import Budget
from raysweep.sweep.size import allows, runs_to_come
from raysweep.sweep.spec import Spec

BATCH_SHARE = 10  # a tenth of the configurations are in flight
MOST_IN_SHARE = 10_000  # configurations of which a tenth is in flight; of more, no more
OPEN_ENDED = 40  # their assumed number where only a budget ends the search


class BudgetTracker:
    """Budgets of a sweep, which decide whether an arm may start another configuration.

    Finished and started configurations count against a budget, each started one with all its
    seeds, and each arm with its fresh seeds; so a budget of runs is never exceeded. Hours are
    estimated from the mean time of the runs that ended, so they can be exceeded.

    Args:
        spec: Spec of the sweep.
        runs: Every run of the session.
        searches: Searches of the arms.
    """

    def __init__(self, spec: Spec, runs: RunRegistry, searches: Sequence[ArmSearch]) -> None:
        self.spec, self.runs, self.searches = spec, runs, searches

    @property
    def limited(self) -> bool:
        """Whether the sweep has a budget."""
        return bool(self.spec.budget) or bool(self.spec.arm_budget)

    def batch(self, search: ArmSearch) -> float:
        """Return how many configurations of an arm may train at once."""
        if self.spec.search.batch is not None:
            return self.spec.search.batch
        hours = (self.spec.budget.hours, self.spec.arm_budget.hours)
        if not search.study.adapts and hours == (None, None):
            return math.inf
        wanted = min(search.study.wanted or OPEN_ENDED, MOST_IN_SHARE)
        return max(1, wanted // BATCH_SHARE)

    def allows(self, search: ArmSearch) -> bool:
        """Check whether the budgets allow another configuration of the arm."""
        if not self.limited:
            return True
        cost = len(self.spec.seeds)
        if search.reported:  # another configuration may then be selected
            cost += len(self.spec.report_seeds)
        return self._within(self.spec.arm_budget, [search], cost) and self._within(
            self.spec.budget, self.searches, cost
        )

    def is_searching(self, search: ArmSearch) -> bool:
        """Check whether an arm has open configurations, or may still open others."""
        return bool(search.open) or not (search.exhausted or not self.allows(search))

    def to_come(self, search: ArmSearch) -> int | None:
        """Return the number of runs that an arm has yet to plan; None if only a budget limits it.

        Of runs on fresh seeds, those that are stored already do not come.
        """
        opened = list(search.open.values())
        racing = sum(len(one.members) - one.count for one in opened)
        decided = search.reported or is_blocked(self.spec, search, self)
        fresh = 0 if decided else len(self.spec.report_seeds) - len(search.reported_before)
        if not self.is_searching(search):
            return racing + fresh
        started = len(opened) + len(search.closed)
        coming = runs_to_come(self.spec, search.arm, started, fresh)
        return None if coming is None else coming + racing

    def _within(self, budget: Budget, searches: Sequence[ArmSearch], cost: int) -> bool:
        if not budget:
            return True
        fresh = len(self.spec.report_seeds)
        runs = cost
        for search in searches:
            runs += search.spent.runs + search.previously_selected.runs + search.in_flight
            runs += search.committed_runs + fresh
        spent = self._spent(searches)
        return allows(budget, runs, spent.runs, spent.seconds)

    def _spent(self, searches: Sequence[ArmSearch]) -> Spent:
        """Return the cost of all runs that ended, of open configurations and fresh seeds, too."""
        total = Spent()
        for search in searches:
            members = [member for opened in search.open.values() for member in opened.members]
            total.add(self.runs.of([*members, *search.reported]))
            for spent in (search.spent, search.previously_selected):
                total.runs += spent.runs
                total.seconds += spent.seconds
        return total


def is_blocked(spec: Spec, search: ArmSearch, tracker: BudgetTracker) -> bool:
    """Check whether an arm's search is over without a configuration to run on fresh seeds."""
    if not spec.report_seeds or search.reported or search.open:
        return False
    over = search.exhausted or not tracker.allows(search)
    return over and search.selected() is None

"""What a sweep may still open: batches in flight, and budgets of runs and hours."""

import math
from collections.abc import Sequence

from raysweep.scheduling.arm_search import ArmSearch, Spent
from raysweep.scheduling.state import RunRegistry
from raysweep.sweep.options import Budget
from raysweep.sweep.spec import Spec

BATCH_SHARE = 10  # a tenth of the configurations are in flight
OPEN_ENDED = 40  # stands for their number where only a budget ends the search


class BudgetTracker:
    """Says whether an arm may open another configuration.

    A budget is kept by what has run and by what is open, each open configuration counted with all
    its seeds, and each arm with its fresh seeds to report; so a budget of runs is never exceeded.
    Hours are estimated from the runs that ended, so they are met as well as those tell.

    Args:
        spec: The sweep.
        runs: Its runs.
        searches: Its arms'.
    """

    def __init__(self, spec: Spec, runs: RunRegistry, searches: Sequence[ArmSearch]) -> None:
        self.spec, self.runs, self.searches = spec, runs, searches

    @property
    def limited(self) -> bool:
        """Whether there is a budget at all."""
        return bool(self.spec.budget) or bool(self.spec.arm_budget)

    def batch(self, search: ArmSearch) -> float:
        """How many configurations of an arm may be open at once."""
        if self.spec.search.batch is not None:
            return self.spec.search.batch
        hours = (self.spec.budget.hours, self.spec.arm_budget.hours)
        if not search.study.adapts and hours == (None, None):
            return math.inf
        return max(1, (search.study.wanted or OPEN_ENDED) // BATCH_SHARE)

    def allows(self, search: ArmSearch) -> bool:
        """Whether the budgets leave room for another configuration of the arm."""
        if not self.limited:
            return True
        cost = len(self.spec.seeds)
        if search.reported:  # another configuration may then be selected
            cost += len(self.spec.report_seeds)
        return self._within(self.spec.arm_budget, [search], cost) and self._within(
            self.spec.budget, self.searches, cost
        )

    def _within(self, budget: Budget, searches: Sequence[ArmSearch], cost: int) -> bool:
        if not budget:
            return True
        fresh = len(self.spec.report_seeds)
        runs = cost
        for search in searches:
            runs += search.spent.runs + search.former.runs + search.in_flight
            runs += search.bound + fresh
        if budget.runs is not None and runs > budget.runs:
            return False
        if not budget.hours:
            return budget.hours is None
        spent = self._spent(searches)
        mean = spent.seconds / spent.runs if spent.runs else 0.0
        return spent.seconds + mean * (runs - spent.runs) <= 3600 * budget.hours

    def _spent(self, searches: Sequence[ArmSearch]) -> Spent:
        """What has ended, in open configurations and on fresh seeds, too."""
        found = Spent()
        for search in searches:
            waiting = [member for each in search.open.values() for member in each.members]
            found.add(self.runs.of([*waiting, *search.reported]))
            for each in (search.spent, search.former):
                found.runs += each.runs
                found.seconds += each.seconds
        return found


def is_blocked(spec: Spec, search: ArmSearch, tracker: BudgetTracker) -> bool:
    """Whether an arm's search is over and left nothing that could run on its fresh seeds."""
    if not spec.report_seeds or search.reported or search.open:
        return False
    over = search.exhausted or not tracker.allows(search)
    return over and search.selected() is None

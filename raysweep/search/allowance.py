"""What a sweep may still open: batches in flight, and budgets of runs and hours."""

import math
from collections.abc import Sequence

from raysweep.identity import Run
from raysweep.runs import Runs
from raysweep.search.arm_search import ArmSearch
from raysweep.spec.model import Spec
from raysweep.spec.options import Budget

BATCH_SHARE = 10  # a tenth of the configurations are in flight
OPEN_ENDED = 40  # stands for their number where only a budget ends the search


class Allowance:
    """Says whether an arm may open another configuration.

    A budget is kept by what has run and by what is open, each open configuration counted with all
    its seeds, and each arm with its fresh seeds to report; so a budget of runs is never exceeded.
    Hours are estimated from the runs that ended, so they are met as well as those tell.

    Args:
        spec: The sweep.
        runs: Its runs.
        searches: Its arms'.
    """

    def __init__(self, spec: Spec, runs: Runs, searches: Sequence[ArmSearch]) -> None:
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
        used = [self._used(search) for search in searches]
        runs = sum(ran + to_come for ran, to_come, _ in used) + cost
        if budget.runs is not None and runs > budget.runs:
            return False
        if budget.hours is None:
            return True
        ran = sum(each for each, _, _ in used)
        seconds = sum(each for _, _, each in used)
        mean = seconds / ran if ran else 0.0
        return seconds + mean * (runs - ran) <= 3600 * budget.hours

    def _used(self, search: ArmSearch) -> tuple[int, int, float]:
        """An arm's runs that ended, those it is bound to run, and the seconds of the first."""
        ids = {member.run.run_id for members in search.members.values() for member in members}
        fresh = {member.run.run_id for member in search.reported}
        earlier = {  # on fresh seeds of what was selected before
            Run(members[0].run.configuration, seed).run_id
            for members in search.members.values()
            for seed in self.spec.report_seeds
        }
        counted = ids | fresh | earlier
        ended = [self.runs.ended[each] for each in counted if each in self.runs.ended]
        ran = [each for each in ended if not each.never_ran]
        waiting = {m.run.run_id for each in search.open.values() for m in each.members}
        to_come = len(waiting - self.runs.ended.keys())
        to_come += len(fresh - self.runs.ended.keys()) if fresh else len(self.spec.report_seeds)
        return len(ran), to_come, sum(each.seconds for each in ran)

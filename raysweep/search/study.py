"""One Optuna study per arm, in memory: proposes configurations, is told how each ended."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState, create_trial

from raysweep.search.distributions import DIRECTIONS, corner, distribution, suggest, to_optuna
from raysweep.search.sampler_state import MARK
from raysweep.search.samplers import (
    FIRST_GENERATION_ATTRS,
    SAMPLERS,
    make_sampler,
)
from raysweep.sweep.options import Search, Select
from raysweep.sweep.outcomes import TrialResult
from raysweep.sweep.runs import canonical_json, digest
from raysweep.sweep.space import Value, same, to_json
from raysweep.sweep.spec import Arm

MAX_REPEATS = 100
FEW_REPEATS = 20  # of a sampler that learns: it would insist, and `gp` takes its time
Attributes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A point to try.

    Args:
        assignment: The searched settings that apply.
        trial: Number of the Optuna trial that waits for its value.
        attributes: What the sampler noted at the trial, to be kept; None if it keeps nothing.
    """

    assignment: Mapping[str, Value]
    trial: int
    attributes: Attributes | None = None


class ArmStudy:
    """The search of one arm.

    Grid, random and quasi-random proposals do not depend on results, so they are the same list in
    every session. Another sampler's are a function of the search seed and of the trials that the
    study holds.

    Args:
        arm: Whose space is searched.
        search: How.
        select: What a good value is.
    """

    def __init__(self, arm: Arm, search: Search, select: Select) -> None:
        self.arm = arm
        self.search = search
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [DIRECTIONS[each.mode] for each in select.all]
        self.storage = optuna.storages.InMemoryStorage()
        self.study = optuna.create_study(storage=self.storage, directions=directions)
        self.known: dict[str, Mapping[str, Value]] = {}
        self._asked = 0
        self._history: list[FrozenTrial] = []
        self._points = points(arm, search)
        domains = {key: to_json(domain) for key, domain in arm.space.items()}
        self._mark = digest([search.sampler, dict(search.settings), domains])

    @property
    def adapts(self) -> bool:
        """Whether proposals depend on results."""
        return SAMPLERS[self.search.sampler].adaptive

    @property
    def takes_over(self) -> bool:
        """Whether configurations of earlier sessions count; a grid proposes its own anyway."""
        return self.search.sampler != "grid"

    @property
    def wanted(self) -> int | None:
        """Configurations to try; None if only a budget says so."""
        size = self.arm.size
        if self.search.sampler == "grid" or self.search.configurations is None:
            return size
        return min(self.search.configurations, size or self.search.configurations)

    def add(
        self,
        assignment: Mapping[str, Value],
        outcome: TrialResult,
        attributes: Attributes | None = None,
    ) -> None:
        """Takes over a configuration that ended in an earlier session."""
        self.known[_key(assignment)] = assignment
        self._add(assignment, outcome, attributes)

    def learn(self, assignment: Mapping[str, Value], outcome: TrialResult) -> None:
        """Takes a result of another sweep as a prior observation; the point may be tried here."""
        self._add(assignment, outcome, None)

    def adopt(
        self, assignment: Mapping[str, Value], attributes: Attributes | None = None
    ) -> Proposal:
        """Takes up a configuration that an earlier session began, or a point from a list."""
        self.known[_key(assignment)] = assignment
        # Not `enqueue_trial` and `ask`: the sampler would note its present state at the trial.
        params, distributions = self._inside(assignment)
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions=distributions,
                system_attrs=dict(self._own(attributes) or FIRST_GENERATION_ATTRS),
            )
        )
        return Proposal(assignment, self._count() - 1)

    def propose(self) -> Proposal | None:
        """The next new configuration, or None when the space or the number is used up."""
        if self.takes_over and self.wanted is not None and len(self.known) >= self.wanted:
            return None
        first = self._next_first()
        if first is not None:
            self.study.enqueue_trial(self._inside(first)[0])
        elif self._points is not None:
            return self._next_listed(self._points)
        for repeats in range(FEW_REPEATS if self.adapts else MAX_REPEATS + len(self.known)):
            proposal = self._ask(repeats)
            if self._is_new(proposal.assignment):
                self.known[_key(proposal.assignment)] = proposal.assignment
                return proposal
            self.study.tell(proposal.trial, state=TrialState.FAIL)
        return self._first_unknown()

    def tell(self, proposal: Proposal, outcome: TrialResult) -> None:
        """How the proposal ended."""
        if outcome.values:
            self.study.tell(proposal.trial, list(outcome.values), skip_if_finished=True)
        elif outcome.stopped_at is None:
            self.study.tell(proposal.trial, state=TrialState.FAIL, skip_if_finished=True)
        else:
            study_id = self.storage.get_study_id_from_name(self.study.study_name)
            trial_id = self.storage.get_trial_id_from_study_id_trial_number(
                study_id, proposal.trial
            )
            value = _known(outcome.value_then)
            self.storage.set_trial_intermediate_value(trial_id, outcome.stopped_at, value)
            self.study.tell(proposal.trial, state=TrialState.PRUNED, skip_if_finished=True)

    def _ask(self, repeats: int) -> Proposal:
        # Not by the number of trials: one that repeated a point is in no store.
        place = [len(self.known), repeats][: 2 if repeats else 1] if self.adapts else [self._asked]
        self._asked += 1
        seed = _seed(self.arm, self.search, *place)
        self.study.sampler = make_sampler(
            self.search, seed, conditional=self.arm.conditional, history=self._numeric_history()
        )
        trial = self.study.ask()
        chosen: dict[str, Value] = {}
        for key in self.arm.searched:
            if self.arm.applies(key, chosen):
                chosen[key] = suggest(trial, key, self.arm.domain(key))
        kept = None
        if SAMPLERS[self.search.sampler].keeps_state:
            noted = self.study.get_trials(deepcopy=False)[trial.number].system_attrs
            kept = {key: value for key, value in noted.items() if key != "fixed_params"}
            kept[MARK] = self._mark
        return Proposal(chosen, trial.number, kept)

    def _add(
        self, assignment: Mapping[str, Value], outcome: TrialResult, attributes: Attributes | None
    ) -> None:
        state, then = TrialState.FAIL, {}
        if outcome.values:
            state = TrialState.COMPLETE
        elif outcome.stopped_at is not None:
            state, then = TrialState.PRUNED, {outcome.stopped_at: _known(outcome.value_then)}
        params, distributions = self._inside(assignment)
        attributes = self._own(attributes)
        values = list(outcome.values) or [each for each in then.values() if not math.isnan(each)]
        trial = create_trial(
            params=params,
            distributions=distributions,
            values=values or None,
            state=state,
            intermediate_values=then,
            system_attrs=dict(FIRST_GENERATION_ATTRS if attributes is None else attributes),
        )
        if attributes is None and outcome.values:
            self._history.append(trial)
        self.study.add_trial(trial)

    def _own(self, attributes: Attributes | None) -> Attributes | None:
        """The attributes, if this sampler noted them in this space; else the point is history."""
        return attributes if attributes and attributes.get(MARK) == self._mark else None

    def _numeric_history(self) -> list[FrozenTrial]:
        """What other samplers found, as far as `cmaes` searches: numbers that all trials have."""
        if not SAMPLERS[self.search.sampler].starts_from_history or not self._history:
            return []
        shared = {
            key: each
            for key, each in intersection_search_space(
                self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            ).items()
            if not isinstance(each, CategoricalDistribution) and not each.single()
        }
        if not shared:
            return []
        return [
            create_trial(
                params={key: trial.params[key] for key in shared},
                distributions=shared,
                values=trial.values,
            )
            for trial in self._history
        ]

    def _next_listed(self, points: Iterator[dict[str, Value]]) -> Proposal | None:
        """The next point of the list; of a grid also those that an earlier session began."""
        for point in itertools.islice(points, MAX_REPEATS + len(self.known)):
            if self._is_new(point):
                return self.adopt(point)
        return self._first_unknown()

    def _next_first(self) -> dict[str, Value] | None:
        """The first of the points to try first that no known configuration agrees with."""
        for named in self.search.first:
            point = self._steered(self.arm.point(named))
            if len(point) >= len(named) and not any(
                all(key in each and same(each[key], value) for key, value in point.items())
                for each in self.known.values()
            ):
                return point
        return None

    def _steered(self, point: Mapping[str, Value]) -> dict[str, Value]:
        """The point, and what its settings need of others to apply; nothing if they cannot."""
        found = dict(point)
        for key in point:
            needed = self.arm.points.reach(key, found)
            if needed is None:
                return {}
            found |= needed
        return found

    def _first_unknown(self) -> Proposal | None:
        """The sampler keeps repeating itself: take the first point it never tried."""
        if self.arm.size is None:
            return None
        cell = next((cell for cell in self.arm.cells() if self._is_new(cell)), None)
        return None if cell is None else self.adopt(cell)

    def _is_new(self, assignment: Mapping[str, Value]) -> bool:
        return _key(assignment) not in self.known

    def _count(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def _inside(
        self, assignment: Mapping[str, Value]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """The assignment in Optuna's terms, and the distributions it comes from."""
        domains = {key: self.arm.domain(key) for key in assignment}
        params = {key: to_optuna(value, domains[key]) for key, value in assignment.items()}
        return params, {key: distribution(each) for key, each in domains.items()}


def points(arm: Arm, search: Search) -> Iterator[dict[str, Value]] | None:
    """Every point to try, in order, where that is known from the start."""
    if search.sampler == "grid":
        return arm.cells()
    return _sequence(arm, search) if search.sampler == "qmc" else None


def _sequence(arm: Arm, search: Search) -> Iterator[dict[str, Value]]:
    """A quasi-random sequence, from a study of its own.

    Optuna's sampler learns the space from a finished trial, and stays in one sequence with one
    seed; so the study begins with a trial that is never run.
    """
    study = optuna.create_study(sampler=make_sampler(search, _seed(arm, search, 0)))
    domains = {key: arm.domain(key) for key in arm.searched}
    distributions = {key: distribution(domain) for key, domain in domains.items()}
    lows = {key: corner(domain) for key, domain in domains.items()}
    study.add_trial(create_trial(params=lows, distributions=distributions, value=0.0))
    while True:
        trial = study.ask()
        point: dict[str, Value] = {}
        for key, domain in domains.items():
            value = suggest(trial, key, domain)
            if arm.applies(key, point):
                point[key] = value
        study.tell(trial, state=TrialState.FAIL)
        yield point


def _seed(arm: Arm, search: Search, *place: int) -> int:
    return int(digest([search.seed, arm.task, arm.estimator, *place])[:8], 16)


def _key(assignment: Mapping[str, Value]) -> str:
    return canonical_json(dict(assignment))


def _known(value: float | None) -> float:
    """The value, or NaN, which Optuna ranks behind every number."""
    return math.nan if value is None else value

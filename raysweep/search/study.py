"""Search of one arm with an Optuna study in memory: proposals, and the results of them."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState, create_trial

from raysweep.search.distributions import (
    DIRECTIONS,
    corner,
    distribution,
    parameter,
    parameters,
    suggest,
    to_optuna,
)
from raysweep.search.random_points import RandomPoints
from raysweep.search.sampler_state import MARK
from raysweep.search.samplers import (
    FIRST_GENERATION_ATTRS,
    SAMPLERS,
    make_sampler,
)
from raysweep.sweep.options import Search, Select
from raysweep.sweep.outcomes import FAILED, TrialResult
from raysweep.sweep.runs import digest, digest_of_text
from raysweep.sweep.settings import canonical_json, value_text
from raysweep.sweep.space import Value, same, to_json
from raysweep.sweep.spec import Arm

NO_POINT: Mapping[str, Value] = {}
MAX_REPEATS = 100
FEW_REPEATS = 20  # of an adaptive sampler, which tends to repeat itself, and is slow (`gp`)
Attributes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """A point to try.

    Args:
        assignment: Values of the searched settings that apply.
        trial: Number of the Optuna trial that waits for its value; None if there is no trial, as in
            a grid, which needs no study.
        attributes: Attributes of the trial that the sampler needs later; None if it needs none.
    """

    assignment: Mapping[str, Value]
    trial: int | None = None
    attributes: Attributes | None = None

    @property
    def pending(self) -> "Proposal":
        """The proposal as `ArmStudy.tell` needs it: where it has no trial, without its point."""
        return self if self.trial is not None else NO_TRIAL


NO_TRIAL = Proposal({})


class ArmStudy:
    """Search of one arm.

    Grid, random and quasi-random proposals do not depend on results, so they are the same list in
    every session. Those of other samplers are a function of the search seed and of the trials in
    the study.

    Args:
        arm: Arm whose space is searched.
        search: Sampler and its settings.
        select: Metrics to optimize, and their directions.
    """

    def __init__(self, arm: Arm, search: Search, select: Select) -> None:
        self.arm = arm
        self.search = search
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [DIRECTIONS[metric.mode] for metric in select.all]
        self.storage = optuna.storages.InMemoryStorage()
        self.study = optuna.create_study(storage=self.storage, directions=directions)
        self.known: dict[bytes, Mapping[str, Value]] = {}
        self._asked = 0
        self._seeds = _Seeds(arm, search)
        self._history: list[FrozenTrial] = []
        self._points = points(arm, search)
        # Random search needs no trials, as no proposal depends on them.
        self._random = RandomPoints(arm) if search.sampler == "random" else None
        domains = {key: to_json(domain) for key, domain in arm.space.items()}
        self._mark = digest([search.sampler, dict(search.settings), domains])

    @property
    def adapts(self) -> bool:
        """Whether proposals depend on results."""
        return SAMPLERS[self.search.sampler].adaptive

    @property
    def takes_over(self) -> bool:
        """Whether configurations of earlier sessions are added; a grid proposes all its points."""
        return self.search.sampler != "grid"

    @property
    def wanted(self) -> int | None:
        """Number of configurations to try; None if only a budget limits it."""
        size = self.arm.size
        if self.search.sampler == "grid" or self.search.configurations is None:
            return size
        return min(self.search.configurations, size or self.search.configurations)

    def add(
        self,
        assignment: Mapping[str, Value],
        result: TrialResult,
        attributes: Attributes | None = None,
    ) -> None:
        """Add a configuration that ended in an earlier session."""
        self._note(self._key(assignment), assignment)
        self._add(assignment, result, attributes)

    def learn(self, assignment: Mapping[str, Value], result: TrialResult) -> None:
        """Add a result of another sweep as an observation; its point can still be proposed."""
        self._add(assignment, result, None)

    def adopt(
        self, assignment: Mapping[str, Value], attributes: Attributes | None = None
    ) -> Proposal:
        """Add a configuration that an earlier session began, or a point from a list, to try."""
        self._note(self._key(assignment), assignment)
        if self._random is not None:
            return Proposal(assignment)
        # With `enqueue_trial` and `ask`, the sampler would note its present state at the trial.
        params, distributions = self._to_optuna(assignment)
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions=distributions,
                system_attrs=dict(self._usable(attributes) or FIRST_GENERATION_ATTRS),
            )
        )
        return Proposal(assignment, self._count() - 1)

    def propose(self) -> Proposal | None:
        """Return a new configuration to try; None when the space or the number is used up."""
        if not self.takes_over and self._points is not None:
            point = next(self._points, None)
            return None if point is None else Proposal(point)
        if self.wanted is not None and len(self.known) >= self.wanted:
            return None
        first = self._next_first()
        given = {} if first is None else self._to_optuna(first)[0]
        if self._random is not None:
            return self._draw(self._random, given)
        if first is not None:
            self.study.enqueue_trial(given)
        elif self._points is not None:
            return self._next_listed(self._points)
        for repeats in range(FEW_REPEATS if self.adapts else self._most_repeats):
            proposal = self._ask(repeats)
            if self._is_new(proposal.assignment):
                self._note(self._key(proposal.assignment), proposal.assignment)
                return proposal
            self.tell(proposal, FAILED)
        return self._first_unknown()

    @property
    def _most_repeats(self) -> int:
        """Number of points to draw at most, until one of them is new."""
        return MAX_REPEATS + len(self.known)

    def _draw(self, random: RandomPoints, given: Mapping[str, Any]) -> Proposal | None:
        """Return a new random configuration; only the first one drawn has the given values."""
        for _ in range(self._most_repeats):
            point = random.point(self._seeds.of(self._asked), given)
            self._asked, given = self._asked + 1, {}
            if (key := self._key(point)) not in self.known:
                self._note(key, point)
                return Proposal(point)
        return self._first_unknown()

    def tell(self, proposal: Proposal, result: TrialResult) -> None:
        """Report the result of a proposal to the study, if it has a trial there."""
        if proposal.trial is None:
            return
        if result.values:
            self.study.tell(proposal.trial, list(result.values), skip_if_finished=True)
        elif result.stopped_at is None:
            self.study.tell(proposal.trial, state=TrialState.FAIL, skip_if_finished=True)
        else:
            study_id = self.storage.get_study_id_from_name(self.study.study_name)
            trial_id = self.storage.get_trial_id_from_study_id_trial_number(
                study_id, proposal.trial
            )
            value = _or_nan(result.value_then)
            self.storage.set_trial_intermediate_value(trial_id, result.stopped_at, value)
            self.study.tell(proposal.trial, state=TrialState.PRUNED, skip_if_finished=True)

    def _ask(self, repeats: int) -> Proposal:
        # The number of trials would differ after a restart, as repeated points are not stored.
        counts = [len(self.known), repeats][: 2 if repeats else 1] if self.adapts else [self._asked]
        self._asked += 1
        seed = self._seeds.of(*counts)
        self.study.sampler = make_sampler(
            self.search, seed, conditional=self.arm.conditional, history=self._numeric_history()
        )
        trial = self.study.ask()
        chosen: dict[str, Value] = {}
        for key in self.arm.searched:
            if self.arm.applies(key, chosen):
                name, domain = parameter(self.arm, key, chosen)
                chosen[key] = suggest(trial, name, domain)
        kept = None
        if SAMPLERS[self.search.sampler].keeps_state:
            noted = self.study.get_trials(deepcopy=False)[trial.number].system_attrs
            kept = {key: value for key, value in noted.items() if key != "fixed_params"}
            kept[MARK] = self._mark
        return Proposal(chosen, trial.number, kept)

    def _add(
        self, assignment: Mapping[str, Value], result: TrialResult, attributes: Attributes | None
    ) -> None:
        if self._random is not None:
            return
        state, then = TrialState.FAIL, {}
        if result.values:
            state = TrialState.COMPLETE
        elif result.stopped_at is not None:
            state, then = TrialState.PRUNED, {result.stopped_at: _or_nan(result.value_then)}
        params, distributions = self._to_optuna(assignment)
        attributes = self._usable(attributes)
        values = list(result.values) or [value for value in then.values() if not math.isnan(value)]
        trial = create_trial(
            params=params,
            distributions=distributions,
            values=values or None,
            state=state,
            intermediate_values=then,
            system_attrs=dict(FIRST_GENERATION_ATTRS if attributes is None else attributes),
        )
        if attributes is None and result.values:
            self._history.append(trial)
        self.study.add_trial(trial)

    def _usable(self, attributes: Attributes | None) -> Attributes | None:
        """Return the attributes if they are of this sampler and this space, else None."""
        return attributes if attributes and attributes.get(MARK) == self._mark else None

    def _numeric_history(self) -> list[FrozenTrial]:
        """Return the trials of other samplers with the settings that `cmaes` searches: numbers."""
        if not SAMPLERS[self.search.sampler].starts_from_history or not self._history:
            return []
        shared = {
            key: domain
            for key, domain in intersection_search_space(
                self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            ).items()
            if not isinstance(domain, CategoricalDistribution) and not domain.single()
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
        """Return the next new point of a list."""
        for point in itertools.islice(points, self._most_repeats):
            if self._is_new(point):
                return self.adopt(point)
        return self._first_unknown()

    def _next_first(self) -> dict[str, Value] | None:
        """Return the first point of `first` that no known configuration agrees with."""
        for named in self.search.first:
            point = self._with_conditions(self.arm.point(named))
            if len(point) >= len(named) and not any(
                all(key in known and same(known[key], value) for key, value in point.items())
                for known in self.known.values()
            ):
                return point
        return None

    def _with_conditions(self, point: Mapping[str, Value]) -> dict[str, Value]:
        """Add the values with which the point's settings apply; empty if they cannot apply."""
        completed = dict(point)
        for key in point:
            needed = self.arm.points.reach(key, completed)
            if needed is None:
                return {}
            completed |= needed
        return completed

    def _first_unknown(self) -> Proposal | None:
        """Return the first point not tried, for a sampler that keeps repeating itself."""
        if self.arm.size is None:
            return None
        point = next((point for point in self.arm.cells() if self._is_new(point)), None)
        return None if point is None else self.adopt(point)

    def _is_new(self, assignment: Mapping[str, Value]) -> bool:
        return self._key(assignment) not in self.known

    def _note(self, key: bytes, assignment: Mapping[str, Value]) -> None:
        """Note a configuration as known; only points of `first` are compared with its values."""
        self.known[key] = assignment if self.search.first else NO_POINT

    def _key(self, assignment: Mapping[str, Value]) -> bytes:
        """Return a short key of a point, as there may be a million."""
        if self.arm.conditional:
            text = canonical_json(dict(assignment))
        else:
            text = ",".join([value_text(assignment[key]) for key in self.arm.searched])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def _count(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def _to_optuna(
        self, assignment: Mapping[str, Value]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return the assignment as Optuna's parameters, and their distributions."""
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for key, value in assignment.items():
            name, domain = parameter(self.arm, key, assignment)
            params[name] = to_optuna(value, domain)
            distributions[name] = distribution(domain)
        return params, distributions


def points(arm: Arm, search: Search) -> Iterator[dict[str, Value]] | None:
    """Return the points to try, in order, for samplers that do not ask a study; None for others."""
    if search.sampler == "grid":
        return arm.cells()
    return _sequence(arm, search) if search.sampler == "qmc" else None


def _sequence(arm: Arm, search: Search) -> Iterator[dict[str, Value]]:
    """Yield the points of a quasi-random sequence, from a separate study.

    Optuna's sampler takes the space from a finished trial, and needs one seed for one sequence;
    so the study begins with a trial that is never run.
    """
    study = optuna.create_study(sampler=make_sampler(search, _Seeds(arm, search).of(0)))
    domains = {
        name: domain for key in arm.searched for name, domain in parameters(arm, key).items()
    }
    distributions = {name: distribution(domain) for name, domain in domains.items()}
    lows = {name: corner(domain) for name, domain in domains.items()}
    study.add_trial(create_trial(params=lows, distributions=distributions, value=0.0))
    while True:
        trial = study.ask()
        drawn = {name: suggest(trial, name, domain) for name, domain in domains.items()}
        point: dict[str, Value] = {}
        for key in arm.searched:
            if arm.applies(key, point):
                point[key] = drawn[parameter(arm, key, point)[0]]
        study.tell(trial, state=TrialState.FAIL)
        yield point


class _Seeds:
    """Seeds of an arm's samplers.

    Args:
        arm: Arm whose space is searched.
        search: Search with a seed.
    """

    def __init__(self, arm: Arm, search: Search) -> None:
        self._start = canonical_json([search.seed, arm.task, arm.estimator]).removesuffix("]")

    def of(self, *counts: int) -> int:
        """Return the seed of 32 bits that belongs to these counts."""
        return int(digest_of_text(f"{self._start},{','.join(map(str, counts))}]")[:8], 16)


def _or_nan(value: float | None) -> float:
    """Return the value, or NaN for None; Optuna ranks NaN behind every number."""
    return math.nan if value is None else value

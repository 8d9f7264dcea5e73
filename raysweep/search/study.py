"""One Optuna study per arm, in memory: proposes configurations, is told their mean over seeds."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from raysweep.identity import canonical_json, digest
from raysweep.search.distributions import distribution, from_optuna, to_optuna
from raysweep.space import Value
from raysweep.spec.model import Arm
from raysweep.spec.options import Search

MAX_REPEATS = 100


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A point to try.

    Args:
        assignment: The searched settings.
        trial: Number of the Optuna trial that waits for its value.
    """

    assignment: Mapping[str, Value]
    trial: int


class ArmStudy:
    """The search of one arm.

    Grid and random proposals do not depend on results, so they are the same list in every
    session. A model-based sampler's are a function of the search seed and of the trials that the
    study holds.

    Args:
        arm: Whose space is searched.
        search: How.
        mode: `min` or `max`: what a good value is.
    """

    def __init__(self, arm: Arm, search: Search, mode: str) -> None:
        self.arm = arm
        self.search = search
        self.distributions = {key: distribution(each) for key, each in arm.searched.items()}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions: Any = {"min": "minimize", "max": "maximize"}
        self.study = optuna.create_study(direction=directions[mode], sampler=self._sampler(0))
        self.known: set[str] = set()
        self._asked = 0
        self._cells = arm.cells() if search.sampler == "grid" else None

    @property
    def adapts(self) -> bool:
        """Whether proposals depend on results."""
        return self.search.sampler == "tpe"

    @property
    def takes_over(self) -> bool:
        """Whether configurations of earlier sessions count; a grid proposes its own anyway."""
        return self.search.sampler != "grid"

    @property
    def wanted(self) -> int | None:
        """Configurations to try; None for all of a grid."""
        if self.search.configurations is None:
            return None
        size = self.arm.size
        return min(self.search.configurations, size or self.search.configurations)

    def add(self, assignment: Mapping[str, Value], value: float | None) -> None:
        """Takes over a configuration that ended in an earlier session; None if it failed."""
        self.known.add(_key(assignment))
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self.study.add_trial(
            optuna.trial.create_trial(
                params=self._inside(assignment),
                distributions=self.distributions,
                value=value,
                state=state,
            )
        )

    def adopt(self, assignment: Mapping[str, Value]) -> Proposal:
        """Takes up a configuration that an earlier session began."""
        self.known.add(_key(assignment))
        self.study.enqueue_trial(self._inside(assignment))
        return Proposal(assignment, self.study.ask(self.distributions).number)

    def propose(self) -> Proposal | None:
        """The next new configuration, or None when the space or the number is used up."""
        if self._cells is not None:
            cell = next(self._cells, None)
            return None if cell is None else self.adopt(cell)
        if self.wanted is not None and len(self.known) >= self.wanted:
            return None
        for _ in range(MAX_REPEATS + len(self.known)):
            number = len(self.study.get_trials(deepcopy=False)) if self.adapts else self._asked
            self._asked += 1
            self.study.sampler = self._sampler(number)
            trial = self.study.ask(self.distributions)
            assignment = self._outside(trial.params)
            if _key(assignment) not in self.known:
                self.known.add(_key(assignment))
                return Proposal(assignment, trial.number)
            self.study.tell(trial.number, state=TrialState.FAIL)
        return self._first_unknown()

    def tell(self, proposal: Proposal, value: float | None) -> None:
        """The proposal's mean over its seeds, or None if a seed diverged or failed for good."""
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self.study.tell(proposal.trial, value, state=state, skip_if_finished=True)

    def _first_unknown(self) -> Proposal | None:
        """The sampler keeps repeating itself: take the first point it never tried."""
        if self.arm.size is None:
            return None
        unknown: Iterator[dict[str, Value]] = (
            cell for cell in self.arm.cells() if _key(cell) not in self.known
        )
        cell = next(unknown, None)
        return None if cell is None else self.adopt(cell)

    def _sampler(self, trials: int) -> optuna.samplers.BaseSampler:
        seed = int(
            digest([self.search.seed, self.arm.task, self.arm.estimator, trials])[:8],
            16,
        )
        if self.search.sampler == "tpe":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.samplers.TPESampler(seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)

    def _inside(self, assignment: Mapping[str, Value]) -> dict[str, Any]:
        """The assignment in Optuna's terms: values it cannot hold become JSON text."""
        return {key: to_optuna(value, self.arm.searched[key]) for key, value in assignment.items()}

    def _outside(self, params: Mapping[str, Any]) -> dict[str, Value]:
        return {key: from_optuna(params[key], domain) for key, domain in self.arm.searched.items()}


def _key(assignment: Mapping[str, Value]) -> str:
    return canonical_json(dict(assignment))

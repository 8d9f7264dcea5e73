"""Warm start of a search from the results of another sweep."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.sweep.outcomes import TrialResult
from raysweep.sweep.runs import NO_ESTIMATOR


@dataclasses.dataclass(frozen=True)
class PriorConfiguration:
    """A configuration whose seeds have all finished.

    Args:
        configuration_id: Identity of the configuration.
        settings: Value of each setting, by key `section.name`.
        values: Mean over seeds of each metric in `select`.
    """

    configuration_id: str
    settings: Mapping[str, Any]
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class PriorResults:
    """Results of another sweep.

    Args:
        sweep: Name of the other sweep.
        configurations: Configurations of that sweep whose seeds have all finished.
    """

    sweep: str
    configurations: Sequence[PriorConfiguration]


def warm_start(searches: Sequence[ArmSearch], prior: PriorResults) -> dict[str, int]:
    """Add the other sweep's results to the study of each arm.

    A configuration counts if it is a point of the arm's space, so its task, its estimator and the
    fixed settings are the same.

    Returns:
        Number of configurations added to each arm, by its name.

    Raises:
        SpecError: If no configuration of the other sweep is in the space of any arm.
    """
    learnt = {}
    for search in searches:
        learnt[search.arm.name] = 0
        for known in prior.configurations:
            assignment = search.arm.locate(known.configuration_id, known.settings)
            if assignment is not None:
                search.study.learn(assignment, TrialResult(known.values))
                learnt[search.arm.name] += 1
    if not any(learnt.values()):
        without = all(search.arm.estimator == NO_ESTIMATOR for search in searches)
        program = "task" if without else "task, estimator"
        raise SpecError(
            f"search.from: none of the {len(prior.configurations)} finished configurations of "
            f"sweep {prior.sweep!r} lies in this sweep's search space; {program} and fixed "
            "settings must be the same, and searched values within the space"
        )
    return learnt

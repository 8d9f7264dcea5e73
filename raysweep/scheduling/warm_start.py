"""Warm start: what the results of another sweep tell a search before it begins."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.errors import SpecError
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.sweep.outcomes import TrialResult


@dataclasses.dataclass(frozen=True)
class PriorConfiguration:
    """A configuration of which every seed ended well.

    Args:
        configuration_id: Its id.
        settings: Its settings by key `section.name`.
        values: Mean over seeds of each metric that selects.
    """

    configuration_id: str
    settings: Mapping[str, Any]
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class PriorResults:
    """The results of another sweep.

    Args:
        sweep: Its name.
        configurations: Those of which every seed ended well.
    """

    sweep: str
    configurations: Sequence[PriorConfiguration]


def learn(searches: Sequence[ArmSearch], prior: PriorResults) -> dict[str, int]:
    """Tells each arm's study the other sweep's results of the same task and estimator.

    A configuration counts if it lies inside the arm's space, so that fixed settings agree.

    Returns:
        How many configurations each arm learnt of, by its name.

    Raises:
        SpecError: If nothing in the other sweep is inside any arm's space.
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
        raise SpecError(
            f"search.from: expected results inside the space of an arm, got "
            f"{len(prior.configurations)} finished configurations of {prior.sweep!r}, none of "
            "them inside; the settings that are fixed here must be the same there"
        )
    return learnt

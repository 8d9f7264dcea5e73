"""The interface of early stopping that packs and the scheduler use."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol


class EarlyStopper(Protocol):
    """Early stopping: decides which configurations continue."""

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """Add a configuration to an arm.

        Args:
            arm: Name of the arm.
            length: Steps of the arm's longest run, and steps between two rows of its curves.
            configuration_id: Identity of the configuration.
            run_ids: Ids of its runs, one for each seed.
        """

    def lost(self, run_id: str) -> None:
        """Note that a run failed for good; its configuration is stopped at its next rung."""

    def begin(self) -> None:
        """Restore the decisions of earlier sessions, once their configurations are added.

        Raises:
            StoreError: If the store cannot be read or written.
        """

    def ask(self, step: int, values: Mapping[str, float | None], last: bool) -> list[str]:
        """Return the ids of the runs that a pack must stop.

        Args:
            step: Step that the pack has reached.
            values: Value of the compared metric, by run id; None for a run that diverged.
            last: Whether these runs end at this step.

        Raises:
            StoreError: If the decision cannot be written.
        """


@dataclasses.dataclass(frozen=True)
class Decision:
    """Decision on a configuration at a rung.

    Args:
        configuration_id: Identity of the configuration.
        step: Step of the rung, or the last step of the configuration.
        value: Mean of the metric over seeds; None if one of them diverged.
        stopped: Whether the configuration was stopped.
        last: Whether the configuration ended at this step.
    """

    configuration_id: str
    step: int
    value: float | None
    stopped: bool
    last: bool

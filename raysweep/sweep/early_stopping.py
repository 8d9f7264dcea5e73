"""What packs and the schedule know of the judge of early stopping, wherever it lives."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol


class EarlyStopper(Protocol):
    """Says which configurations go on."""

    def opened(
        self, arm: str, length: tuple[int, int], configuration_id: str, run_ids: Sequence[str]
    ) -> None:
        """An arm has a configuration.

        Args:
            arm: Its name.
            length: Steps of its longest run, and between two rows of its curves.
            configuration_id: Which.
            run_ids: Its runs, one for each seed.
        """

    def lost(self, run_id: str) -> None:
        """A run failed for good; its configuration leaves at its next rung."""

    def begin(self) -> None:
        """Takes over what earlier sessions decided; after their configurations were opened.

        Raises:
            StoreError: If the store cannot be read or written.
        """

    def ask(self, step: int, values: Mapping[str, float | None], last: bool) -> list[str]:
        """Which runs of a pack leave.

        Args:
            step: That the pack has reached.
            values: Of the judged metric, by run; None for a run that diverged.
            last: Whether it is the end of these runs.

        Raises:
            StoreError: If the decision cannot be put down.
        """


@dataclasses.dataclass(frozen=True)
class Decision:
    """What became of a configuration at a rung.

    Args:
        configuration_id: Which.
        step: Of the rung, or its last step.
        value: Mean over its seeds; None if one of them diverged.
        stopped: Whether it was stopped.
        last: Whether this was its end.
    """

    configuration_id: str
    step: int
    value: float | None
    stopped: bool
    last: bool

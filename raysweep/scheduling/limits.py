"""Limits on failures, which end a session early."""

import re
from collections.abc import Callable, Collection, Mapping

from raysweep.errors import TooManyFailures
from raysweep.sweep.outcomes import RunResult
from raysweep.sweep.packs import Pack, PlannedRun
from raysweep.sweep.spec import Spec
from raysweep.text import counted

_VARYING = re.compile(r"0x[0-9a-f]+|\d+")  # numbers and addresses, by which equal errors differ


class FailureLimits:
    """Decides whether a session ends because of its failures.

    Args:
        spec: Spec of the sweep.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._first: list[str] = []  # errors of the first runs that failed in this session
        self._arms: set[tuple[str, str]] = set()

    def note(self, run: PlannedRun, error: str) -> None:
        """Note the failure of a run."""
        self._first.append(error)
        self._arms.add((run.task_label, run.estimator_label))

    def problem(
        self, ended: Mapping[str, RunResult], in_flight: Collection[Pack], total: Callable[[], int]
    ) -> TooManyFailures | None:
        """Return the error that ends the session, if it should end.

        Args:
            ended: Results of the planned runs that ended.
            in_flight: Packs in training.
            total: Function that returns the number of runs of the sweep.
        """
        return self._same_error(ended, in_flight) or self._too_large_a_share(ended, total)

    def _same_error(
        self, ended: Mapping[str, RunResult], in_flight: Collection[Pack]
    ) -> TooManyFailures | None:
        most = self.spec.resources.stop_after
        if most is None or len(self._first) < most:
            return None
        alike = {_VARYING.sub("#", error) for error in self._first}
        succeeded = any(result.status != "failed" for result in ended.values())
        others = any(pack.arm not in self._arms for pack in in_flight)
        if len(alike) > 1 or succeeded or others:
            return None
        return TooManyFailures(
            f"stopped: all of the first {counted(len(self._first))} failed with {self._first[0]}; "
            f"mend the cause and run the same command again, 'raysweep logs {self.spec.name}' "
            f"shows the traceback (resources.stop_after: {most})"
        )

    def _too_large_a_share(
        self, ended: Mapping[str, RunResult], total: Callable[[], int]
    ) -> TooManyFailures | None:
        most = self.spec.resources.max_failed_fraction
        failed = sum(1 for result in ended.values() if result.status == "failed")
        if most is None or failed <= most * total():
            return None
        return TooManyFailures(
            f"stopped: {failed} of {counted(total())} failed, more than "
            f"resources.max_failed_fraction {most:g} allows; find the cause with 'raysweep "
            f"status {self.spec.name} --failed' and run the same command again"
        )

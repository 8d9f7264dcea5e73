"""Results of a sweep at one moment, read once."""

import functools
from collections.abc import Sequence

import pyarrow as pa

from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.frame import RunFrame
from raysweep.results.selection import Selection
from raysweep.results.sweep_results import SweepResults


class Snapshot(SweepResults):
    """Results whose ended runs are read once, with every metric.

    A report needs the same runs a dozen times. Reading them each time would take minutes for a
    million runs, and the parts of a running sweep's report would not agree.

    Args:
        results: Results of the sweep.
    """

    def __init__(self, results: SweepResults) -> None:
        self.store, self.sweep, self.spec = results.store, results.sweep, results.spec
        self._selections: dict[str, list[Selection]] = {}

    @functools.cached_property
    def runs_read(self) -> RunFrame:
        """Every ended run, with all metrics and its start time."""
        runs = SweepResults.ended(self, *sorted(self.spec.metrics), about=("started_at",))
        runs.forget_row_settings()
        pa.default_memory_pool().release_unused()
        return runs

    def ended(self, *metrics: str, about: Sequence[str] = (), where: str | None = None) -> RunFrame:
        """Return every ended run; with a condition, read from the store again."""
        if where is not None:
            return super().ended(*metrics, about=about, where=where)
        return self.runs_read

    def configurations(self, *metrics: str, about: Sequence[str] = ()) -> ConfigurationStats:
        """Return the statistics of every configuration, computed once."""
        return self._configurations

    @functools.cached_property
    def _configurations(self) -> ConfigurationStats:
        return ConfigurationStats(self.runs_read, self.spec)

    def selections(self, select: str, *metrics: str) -> list[Selection]:
        """Return the selection of each arm, computed once for each metric that selects."""
        if select not in self._selections:
            self._selections[select] = SweepResults.selections(self, select)
        return self._selections[select]

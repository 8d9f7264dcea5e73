"""Configurations of an arm that a figure of the whole search draws, and their means."""

import dataclasses

from raysweep.figures.scope import Numbers, SweepView
from raysweep.results.configuration_stats import ConfigurationStats
from raysweep.results.setting_column import Indices
from raysweep.sweep.spec import Arm


@dataclasses.dataclass(frozen=True, eq=False)
class SearchedArm:
    """Configurations of an arm with a value of a metric.

    Args:
        arm: Task and estimator of the configurations.
        stats: Statistics of all configurations.
        indices: Indices of the configurations whose seeds all ended well, `N`; if there are none,
            of those begun.
        means: Means of the metric over the seeds of these configurations, `N`.
        provisional: Whether no configuration has all its seeds yet.
        selected: Index of the configuration that the table selects; None if it selects none.
        stopped: Indices of the configurations that early stopping ended, `M`.
        reached: Means of the stopped configurations where they were stopped, `M`; NaN where these
            are not known.
    """

    arm: Arm
    stats: ConfigurationStats
    indices: Indices
    means: Numbers
    provisional: bool
    selected: int | None
    stopped: Indices
    reached: Numbers

    @classmethod
    def of(cls, view: SweepView, stats: ConfigurationStats, arm: Arm, metric: str) -> "SearchedArm":
        """Return the configurations of an arm.

        Args:
            view: Part of the sweep that is shown.
            stats: Statistics of all configurations.
            arm: Task and estimator of the configurations.
            metric: Metric of the means.
        """
        indices = stats.of(arm)
        chosen = stats.best(indices, view.select, view.mode)
        provisional = chosen is not None and chosen[1] == "provisional"
        good, complete = stats.eligible(indices, metric)
        shown = indices[complete | (good & provisional)]
        stopped = indices[stats.has("stopped")[indices]]
        return cls(
            arm,
            stats,
            shown,
            stats.means(metric).mean[shown],
            provisional,
            None if chosen is None else chosen[0],
            stopped,
            stats.reached(metric)[stopped],
        )


def short_name(key: str, keys: list[str]) -> str:
    """Return a setting's name without its section, unless two sections share the name."""
    name = key.partition(".")[2]
    return name if sum(other.partition(".")[2] == name for other in keys) == 1 else key

"""Runs of every configuration that a figure of curves draws beside the selected ones."""

import dataclasses

from raysweep.figures.scope import SweepView
from raysweep.figures.thinning import evenly

MOST = 500  # configurations of one arm in a figure


@dataclasses.dataclass(frozen=True)
class ConfigurationRuns:
    """Ended runs of one configuration that its arm does not select.

    Args:
        task: Label of the task.
        estimator: Label of the estimator.
        configuration_id: Id of the configuration.
        run_ids: Ids of the runs.
        is_stopped: Whether early stopping ended some of the runs.
    """

    task: str
    estimator: str
    configuration_id: str
    run_ids: tuple[str, ...]
    is_stopped: bool


@dataclasses.dataclass(frozen=True)
class OtherConfigurations:
    """Configurations of a figure besides the selected ones.

    Args:
        groups: Runs of each configuration; at most `MOST` of each arm.
        left_out: Number of configurations that are not drawn, as there are too many.
    """

    groups: tuple[ConfigurationRuns, ...] = ()
    left_out: int = 0


def other_configurations(view: SweepView, selected: set[str]) -> OtherConfigurations:
    """Return the runs of all configurations but the selected ones, evenly chosen if too many.

    Args:
        view: Part of the sweep that the figure shows.
        selected: Ids of the runs that are drawn already.
    """
    groups, left_out = [], 0
    for arm, configurations in view.candidates():
        others = [
            ConfigurationRuns(
                arm.task_label,
                arm.estimator_label,
                candidate.configuration_id,
                tuple(row["run_id"] for row in candidate.rows),
                candidate.has("stopped"),
            )
            for candidate in configurations
        ]
        others = [group for group in others if not selected.intersection(group.run_ids)]
        indices = evenly(len(others), MOST)
        groups += [others[index] for index in indices.tolist()]
        left_out += len(others) - len(indices)
    return OtherConfigurations(tuple(groups), left_out)

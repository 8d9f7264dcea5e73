"""Metrics of a file's tasks, and the reader of those that the file names."""

import dataclasses
import functools
from collections.abc import Mapping

from raysweep import registry
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import member
from raysweep.text import some


@dataclasses.dataclass(frozen=True)
class TaskMetrics:
    """Metrics of the tasks of a file.

    Args:
        tasks: Name of each task in the registry, by its label.
    """

    tasks: Mapping[str, str]

    @functools.cached_property
    def meanings(self) -> dict[str, dict[str, str]]:
        """Direction, unit and meaning of each metric of the tasks.

        A metric with another unit in another task has none, as one table shows both; other
        meanings of it are joined.
        """
        by_task = [registry.task(task).metrics for task in dict.fromkeys(self.tasks.values())]
        names = dict.fromkeys(name for metrics in by_task for name in metrics)
        of_name = {name: [one[name] for one in by_task if name in one] for name in names}
        return {
            name: {
                "direction": metrics[-1].direction,
                "unit": metrics[0].unit if len({one.unit for one in metrics}) == 1 else "",
                "meaning": "; or ".join(dict.fromkeys(one.meaning for one in metrics)),
            }
            for name, metrics in of_name.items()
        }

    @property
    def requirements(self) -> dict[str, Mapping[str, float]]:
        """Smallest values of settings with which a metric has a value, by its name."""
        return {
            name: metric.needs
            for task in self.tasks.values()
            for name, metric in registry.task(task).metrics.items()
            if metric.needs
        }

    @functools.cached_property
    def shared(self) -> set[str]:
        """Names of the metrics that every task has."""
        by_task = [set(registry.task(task).metrics) for task in self.tasks.values()]
        return set.intersection(*by_task) if by_task else set()

    def read(self, node: Node, problems: Problems) -> str | None:
        """Return the metric of every task that a node names; None, with a mistake, if none is."""
        if not isinstance(node.value, str) or node.value not in set(self.meanings) - self.shared:
            return member(node, self.shared, "a metric of every task", problems)
        lacking = {
            label: task
            for label, task in self.tasks.items()
            if node.value not in registry.task(task).metrics
        }
        labels = [repr(label) for label in lacking]
        others = "; ".join(
            f"{task} has {', '.join(sorted(registry.task(task).metrics))}"
            for task in dict.fromkeys(lacking.values())
        )
        problems.add(
            node.where,
            f"expected a metric of every task, got {node.value!r}, which {some(labels)} "
            f"{'does' if len(lacking) == 1 else 'do'} not have: {others}; every task has "
            f"{', '.join(sorted(self.shared))}",
        )
        return None

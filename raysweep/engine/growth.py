"""Size to which a cluster can grow, as the configuration of its autoscaler says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.engine import capacity
from raysweep.sweep.options import Resources

CONFIG = "ray_bootstrap_config.yaml"  # JSON that `ray up` writes to the head's home folder


def most_by_message(config: Any, resources: Resources) -> int:
    """Return how many workers fit by the configuration that Ray's server knows; 0 if no limit.

    Args:
        config: Ray's message `ClusterConfig`.
        resources: Resources of one worker.
    """
    groups = [(dict(group.resources), group.max_count) for group in config.node_group_configs]
    return capacity.most_workers(groups, dict(config.max_resources), resources) or 0


def most_by_file(folder: Path, resources: Resources) -> int:
    """Return how many workers fit on new nodes by the file of `ray up`; 0 if it says nothing.

    Args:
        folder: Home folder on the cluster's head.
        resources: Resources of one worker.
    """
    try:
        config = json.loads((folder / CONFIG).read_text())
        kinds = dict(config["available_node_types"])
        kinds.pop(config.get("head_node_type"), None)
        groups = [_group(kind) for kind in kinds.values()]
        left = int(config.get("max_workers", 0))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return 0  # an older or newer Ray, or not started by `ray up`
    total = 0
    for fitting, count in sorted(
        ((capacity.workers_on(totals, resources), count) for totals, count in groups), reverse=True
    ):
        total += max(0, fitting) * min(count, left)
        left -= min(count, left)
    return total


def _group(kind: Mapping[str, Any]) -> tuple[dict[str, float], int]:
    totals = {name: float(amount) for name, amount in kind.get("resources", {}).items()}
    return totals, int(kind.get("max_workers", 0))

"""Settings, replicas and estimator of a pack, from its runs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from raysweep import registry
from raysweep.estimators import Method
from raysweep.sweep.packs import Pack, PlannedRun
from raysweep.sweep.space import coerce, same
from raysweep.tasks.base import DTYPES, Replica


def assemble(
    pack: Pack, runs: Sequence[PlannedRun], device: torch.device
) -> tuple[Any, list[Replica], Method[Any]]:
    """Return the shared settings, the replicas and the estimator of a pack.

    Settings in which the runs differ reach the task replica by replica, and the estimator as
    tensors `R` of the training's floating point format. Numbers in which they do not are rounded
    to that format, so that a run continues in the same way after those that differed have ended.

    Args:
        pack: Pack with the names of the task and the estimator.
        runs: Runs in the order of the replica axis.
        device: Device of the estimator's tensors.
    """
    task = registry.task(pack.task)
    declared = {
        **registry.task_settings(pack.task),
        **registry.estimator_settings(task.family, pack.estimator),
    }
    shared = dict(runs[0].settings)
    dtype = DTYPES.get(shared.get("training.dtype", "float32"), torch.float32)
    columns: dict[str, Any] = {}
    for key, value in shared.items():
        column = [run.settings[key] for run in runs]
        if not (key.startswith("estimator.") and declared[key].per_replica):
            continue
        if not all(same(other, value) for other in column):
            columns[key] = torch.tensor(column, dtype=dtype, device=device)
        elif isinstance(value, float):  # as it is in a tensor, which a pack may have had before
            columns[key] = torch.tensor(value, dtype=dtype).item()
    settings, estimator = registry.instantiate(pack.task, pack.estimator, {**shared, **columns})
    per_replica = [
        key
        for key, setting in declared.items()
        if setting.per_replica and not key.startswith("estimator.")
    ]
    replicas = [
        Replica(
            run.run_id, run.seed, {declared[key].name: run.settings[key] for key in per_replica}
        )
        for run in runs
    ]
    return settings, replicas, estimator.to(device)


def with_present_settings(pack: Pack, run: PlannedRun) -> PlannedRun:
    """Return a saved run with the settings that are declared now.

    Its identity leaves out settings at their defaults, which may have been added or removed.

    Args:
        pack: Pack with the names of the task and the estimator.
        run: The saved run.
    """
    family = registry.task(pack.task).family
    declared = {
        **registry.task_settings(pack.task),
        **registry.estimator_settings(family, pack.estimator),
    }
    settings = {
        key: run.settings.get(key, coerce(setting.default, setting.type))
        for key, setting in declared.items()
    }
    return dataclasses.replace(run, settings=settings)

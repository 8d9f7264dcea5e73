"""Facts of a session that its workers need, besides their packs."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Job:
    """Store, devices and settings that a worker needs besides the pack.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.
        token: The driver's lease token.
        checkpoint_s: Seconds between two checkpoints.
        cpu: Number of threads of the worker.
        gpu: Number of GPUs of the worker; 0 trains on the CPU.
        data: Folder of the data sets, or None for the default.
        origin: Columns `version`, `git_commit` and `git_dirty` of every row, from the driver.
        runs_schema: Arrow schema of `runs`, serialised.
        curves_schema: Arrow schema of `curves`, serialised.
        stopping: Early stopping by steps, as the fields of `EarlyStopping`; None if there is none.
    """

    store: str
    sweep: str
    token: str
    checkpoint_s: float
    cpu: float
    gpu: float
    data: str | None
    origin: Mapping[str, Any]
    runs_schema: bytes
    curves_schema: bytes
    stopping: Mapping[str, Any] | None = None

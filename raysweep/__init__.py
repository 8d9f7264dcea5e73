"""Multi-seed sweeps of gradient estimators on Ray: one YAML file, one command.

`raysweep.run(spec, store=…)` trains the missing runs of a sweep and returns its `Results`;
`raysweep.open(store, sweep)` opens the results of a stored sweep; `raysweep.ls(store)` lists the
sweeps of a store. `raysweep.connect(url)` does the same at a service. `raysweep.task` makes a task
of a function, `raysweep.stacked_task` one whose runs are trained together.
"""

import importlib
from typing import TYPE_CHECKING, Any

from raysweep.errors import (
    ClusterError as ClusterError,
)
from raysweep.errors import (
    LeaseHeld as LeaseHeld,
)
from raysweep.errors import (
    RaysweepError as RaysweepError,
)
from raysweep.errors import (
    ServerError as ServerError,
)
from raysweep.errors import (
    SpecError as SpecError,
)
from raysweep.errors import (
    StoreError as StoreError,
)
from raysweep.errors import (
    TrackerError as TrackerError,
)

if TYPE_CHECKING:
    from raysweep.api import Results as Results
    from raysweep.api import compare as compare
    from raysweep.api import ls as ls
    from raysweep.api import open_results as open
    from raysweep.api import run as run
    from raysweep.client.results import RemoteResults as RemoteResults
    from raysweep.client.server import Server as Server
    from raysweep.client.server import connect as connect
    from raysweep.tasks.functions.run import Run as Run
    from raysweep.tasks.functions.task import task as task
    from raysweep.tasks.stacked import NO_NOISE as NO_NOISE
    from raysweep.tasks.stacked.task import stacked_task as stacked_task

    __version__: str

__all__ = [
    "NO_NOISE",
    "ClusterError",
    "LeaseHeld",
    "RaysweepError",
    "RemoteResults",
    "Results",
    "Run",
    "Server",
    "ServerError",
    "SpecError",
    "StoreError",
    "TrackerError",
    "__version__",
    "compare",
    "connect",
    "ls",
    "open",
    "run",
    "stacked_task",
    "task",
]


LATER = {
    "RemoteResults": "raysweep.client.results",
    "Server": "raysweep.client.server",
    "connect": "raysweep.client.server",
    "NO_NOISE": "raysweep.tasks.stacked",
    "Run": "raysweep.tasks.functions.run",
    "stacked_task": "raysweep.tasks.stacked.task",
    "task": "raysweep.tasks.functions.task",
}


def __getattr__(name: str) -> Any:
    """Import the names that need heavy packages on first use, so that `--help` is fast."""
    if name == "__version__":
        from importlib.metadata import version

        return version("raysweep")
    if name in ("Results", "compare", "ls", "open", "run"):
        from raysweep import api

        return getattr(api, "open_results" if name == "open" else name)
    if name in LATER:
        return getattr(importlib.import_module(LATER[name]), name)
    raise AttributeError(f"module 'raysweep' has no attribute {name!r}")

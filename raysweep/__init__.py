"""Multi-seed sweeps of gradient estimators on Ray: one YAML file, one command.

`raysweep.run(spec, store=…)` runs what is missing of a sweep and returns its `Results`;
`raysweep.open(store, sweep)` opens the results of one that ran.
"""

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
    SpecError as SpecError,
)
from raysweep.errors import (
    StoreError as StoreError,
)

if TYPE_CHECKING:
    from raysweep.api import Results as Results
    from raysweep.api import open_results as open
    from raysweep.api import run as run

__all__ = [
    "ClusterError",
    "LeaseHeld",
    "RaysweepError",
    "Results",
    "SpecError",
    "StoreError",
    "open",
    "run",
]


def __getattr__(name: str) -> Any:
    """Loads what needs heavy packages only when it is used: `--help` must not wait for torch."""
    if name in ("Results", "open", "run"):
        from raysweep import api

        return getattr(api, "open_results" if name == "open" else name)
    raise AttributeError(f"module 'raysweep' has no attribute {name!r}")

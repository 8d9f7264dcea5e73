"""The command that the plain sides share: a workload's name in, one line of JSON out."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

Run = dict[str, Any]


def main(fit: Callable[[Workload, list[Run]], list[Run]]) -> None:
    """Run the workload named on the command line: all of it, or its first runs.

    The arguments are its name, "full" or "quick", and the number of runs, 0 for all.

    Args:
        fit: Function that trains runs, and returns them with their losses.
    """
    name, size, limit = sys.argv[1:]
    workload = WORKLOADS[name].quickly() if size == "quick" else WORKLOADS[name]
    runs = workload.runs[: int(limit) or None]
    began = time.perf_counter()
    done = fit(workload, runs)
    print(json.dumps({"runs": done, "fit_s": time.perf_counter() - began}))

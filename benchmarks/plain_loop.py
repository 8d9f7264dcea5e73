"""The same sweep by a loop over its runs, in one process with one thread."""

from benchmarks.plain_side import Run, main
from benchmarks.plain_training import train
from benchmarks.workloads import Workload


def fit(workload: Workload, runs: list[Run]) -> list[Run]:
    """Train the runs one after another, and return them with their losses."""
    return [{**run, "loss": train(workload.train, workload.task, run)} for run in runs]


if __name__ == "__main__":
    main(fit)

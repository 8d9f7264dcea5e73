"""The same sweep by plain Ray Tune, one trial per run, written as a careful user would.

Actors are reused, loggers are off, a trial reports once, data is loaded once per worker, each
worker computes with one thread, and Adam is torch's fused one.
"""

import os
import tempfile
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import ray
from ray import tune

from benchmarks.plain_side import Run, main
from benchmarks.plain_training import train
from benchmarks.workloads import Workload


def trial(config: dict[str, Any]) -> None:
    """Train one run in a worker."""
    tune.report({"train_loss": train(config["train"], config["task"], config["run"])})


def fit(workload: Workload, runs: list[Run]) -> list[Run]:
    """Train the runs as trials of Tune, and return them with their losses."""
    ray.init(
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=200 * 2**20,
    )
    with tempfile.TemporaryDirectory() as scratch:
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={
                "train": workload.train,
                "task": dict(workload.task),
                "run": tune.grid_search(runs),
            },
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        ).fit()
        return [
            {**result.config["run"], "loss": result.metrics["train_loss"]} for result in results
        ]


if __name__ == "__main__":
    main(fit)

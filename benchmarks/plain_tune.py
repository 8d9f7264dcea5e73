"""The same sweeps by plain Ray Tune, one trial per run, written as a careful user would.

Actors are reused, loggers are off, a trial reports once, data is loaded once per worker, each
worker computes with one thread, and Adam is torch's fused one. Prints one line of JSON.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"


import ray
import torch
from ray import tune

from benchmarks.plain_training import train_digits, train_polynomial
from benchmarks.sweeps import SWEEPS


def trial(config: dict[str, Any]) -> None:
    """What a worker does with one run."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    train = train_digits if config["task"]["task"] == "categorical_vae" else train_polynomial
    tune.report({"train_loss": train(config["task"], config["run"])})


def main() -> None:
    """Runs the sweep named on the command line, or its first runs if a number follows."""
    sweep = SWEEPS[sys.argv[1]]
    runs = sweep.runs[: int(sys.argv[2])] if len(sys.argv) > 2 else sweep.runs
    ray.init(
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=200 * 2**20,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={"task": dict(sweep.task), "run": tune.grid_search(runs)},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        ).fit()
        runs = [
            {**result.config["run"], "loss": result.metrics["train_loss"]} for result in results
        ]
    print(json.dumps({"runs": runs, "fit_s": time.perf_counter() - began}))


if __name__ == "__main__":
    main()

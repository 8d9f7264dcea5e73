"""The same sweep by Optuna with a pool of processes, one trial per run.

A worker imports torch once, and computes with one thread; the study is in memory, and the grid's
points are enqueued.
"""

import concurrent.futures
import multiprocessing
import os

import optuna

from benchmarks.plain_side import Run, main
from benchmarks.plain_training import train
from benchmarks.workloads import Workload


def fit(workload: Workload, runs: list[Run]) -> list[Run]:
    """Train the runs as trials of a study, and return them with their losses."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    choices = {
        key: optuna.distributions.CategoricalDistribution(sorted({run[key] for run in runs}))
        for key in runs[0]
    }
    study = optuna.create_study()
    done, waiting = [], {}
    with concurrent.futures.ProcessPoolExecutor(
        os.cpu_count(), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        started, count = 0, len(runs)
        while len(done) < count:
            while started < count and len(waiting) < 2 * (os.cpu_count() or 1):
                study.enqueue_trial(runs[started])
                trial = study.ask(choices)
                run = trial.params
                future = pool.submit(train, workload.train, dict(workload.task), run)
                waiting[future] = (trial, run)
                started += 1
            ended, _ = concurrent.futures.wait(
                waiting, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in ended:
                trial, run = waiting.pop(future)
                study.tell(trial, future.result())
                done.append({**run, "loss": future.result()})
    return done


if __name__ == "__main__":
    main(fit)

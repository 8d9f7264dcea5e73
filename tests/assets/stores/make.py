"""Writes the store that tests keep for the present format: run once when a format is made.

    PYTHONPATH=.:tests/plugin python tests/assets/stores/make.py

It writes `tests/assets/stores/<format>/`, never again touched: later versions must read it.

    ended    a grid: runs that are done, that diverged, and that failed twice and may try again
    judged   a grid with early stopping: runs that are done and that were stopped, decisions
    cut      a pack stopped half-way, one of whose runs has diverged; another pack not begun
    sought   CMA-ES stopped after some configurations, with the optimizer that it goes on from
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import raysweep
from raysweep.engine import inline, pack, work

HERE = Path(__file__).parent
ST = {"estimator": "straight_through"}
# Relative: the folder that the sweep runs in says which seeds make trouble.
WALK = {"task": "toy", "trouble": "trouble.json"}
SWEEPS = {
    "ended": {
        "name": "ended",
        "tasks": {"walk": WALK},
        "estimators": {"ST": ST},
        "training": {"lr": [0.1, 0.3]},
        "seeds": 3,
    },
    "judged": {
        "name": "judged",
        "tasks": {"walk": {"task": "toy"}},
        "estimators": {"ST": ST},
        "training": {"lr": [0.5, 0.1, 0.02, 0.01]},
        "seeds": 2,
        "early_stopping": {"pruner": "asha", "grace": 5, "reduction": 2},
    },
    "cut": {
        "name": "cut",
        "tasks": {"walk": {**WALK, "steps": 40}, "long walk": {**WALK, "steps": 60}},
        "estimators": {"ST": ST},
        "training": {"lr": [0.1, 0.3]},
        "seeds": 3,
    },
    "sought": {
        "name": "sought",
        "tasks": {"quad": {"task": "polynomial", "latents": 4, "batch_size": 4, "steps": 10}},
        "estimators": {"ST": {**ST, "temperature": {"low": 0.5, "high": 2.0}}},
        "training": {"lr": {"low": 1.0e-3, "high": 0.1, "log": True}},
        "seeds": 2,
        "search": {
            "sampler": "cmaes",
            "configurations": 7,
            "batch": 1,
            "n_startup_trials": 1,
            "popsize": 4,
        },
    },
}


def run(name: str, store: Path, looks: int | None = None) -> None:
    """Runs a sweep, or stops it when it has looked so often whether it has to stop.

    Args:
        name: The sweep's name.
        store: The folder of the store.
        looks: Number of looks: one after each step of a pack, one before each pack.
    """
    whole = inline.run_inline
    left = iter(range(looks)) if looks is not None else None

    def cut(schedule, job, stopping, watch):
        whole(schedule, job, lambda: left is not None and next(left, None) is None, watch)

    inline.run_inline = cut
    try:
        raysweep.run(SWEEPS[name], store=store, inline=True)
    finally:
        inline.run_inline = whole


def make(store: Path) -> None:
    """Writes every sweep, in the working folder."""
    work.SLICE_S = pack.PROGRESS_S = 0.0  # a look at the flag after each step
    trouble = Path("trouble.json")
    trouble.write_text(json.dumps({"raise": [1], "nan": [2], "at": 7}))
    run("ended", store)
    run("ended", store)
    run("judged", store)
    trouble.write_text(json.dumps({"nan": [2], "at": 7}))
    run("cut", store, looks=24)
    trouble.unlink()
    run("sought", store, looks=52)


if __name__ == "__main__":
    from raysweep.store.format import FORMAT

    target = HERE / str(FORMAT)
    if target.exists():
        sys.exit(f"{target} is there already: the store of a format is written once")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make(target)

"""Keys of the sections of a sweep file, with their types, limits and meanings."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

MAX_SEED = 999_999
TEMPLATE = "x-"  # start of keys that the reader ignores, for anchors to merge elsewhere


@dataclasses.dataclass(frozen=True)
class Key:
    """Declaration of a key whose value is a number or a word.

    Args:
        type: Type annotation of the value.
        least: Smallest value allowed; None for any.
        meaning: Description in one line.
        most: Largest value allowed; None for any.
    """

    type: Any
    least: float | None
    meaning: str
    most: float | None = None


TOP: Mapping[str, str] = {
    "name": "name of the sweep, and of the folder of its results",
    "description": "text for readers, which changes no run",
    "tags": "words to find the sweep by",
    "tasks": "label: settings of a task; the labels are the columns of the table",
    "estimators": "label: settings of an estimator; the labels are the rows of the table",
    "methods": "label: settings of a task that takes no estimator; these labels are rows, too",
    "training": "settings of training for every task and estimator",
    "overrides": "settings for some tasks and estimators; later ones win",
    "seeds": "number of seeds, a list of seeds, or {search: 3, report: 10}",
    "search": "sampler and its settings; a grid if not given",
    "select": "metric that selects the configuration of each cell",
    "early_stopping": "pruner that ends poor configurations, and its settings",
    "budget": "limits of the whole sweep, and of each arm",
    "resources": "resources of a worker process, and limits on failures",
    "tracker": "where runs are shown while they train: tensorboard, wandb or mlflow",
}
REQUIRED = ("name", "tasks", "seeds")
ROWS = ("estimators", "methods")  # one of them is required
SEARCH: Mapping[str, Key] = {
    "configurations": Key(int, 1, "number of configurations to try per arm"),
    "seed": Key(int, 0, "seed of the proposals"),
    "batch": Key(int, 1, "configurations in flight per arm"),
}
SEARCH_POINTS: Mapping[str, str] = {
    "first": "points to try first, each with values of some searched settings",
    "from": "name of another sweep in the store, to learn from its results",
}
NOT_WITH_GRID: Mapping[str, str] = {
    "configurations": "it tries every point of the space",
    "first": "it tries every point of the space",
    "from": "it does not learn from results",
}
BUDGET: Mapping[str, Key] = {
    "hours": Key(float, 0, "hours of workers, over all sessions"),
    "runs": Key(int, 1, "number of runs, those on fresh seeds included"),
}
RESOURCES: Mapping[str, Key] = {
    "cpu": Key(float, 0.01, "CPU cores per worker, also the threads of torch"),
    "gpu": Key(float, 0, "GPUs per worker; with a fraction, several workers share one"),
    "pack": Key(int | Literal["auto"], 1, "most runs in one pack, or auto"),
    "max_failures": Key(int, 1, "failed attempts after which a run is quarantined"),
    "checkpoint_s": Key(float, 0, "seconds between two checkpoints"),
    "max_failed_fraction": Key(
        float | None, 0, "share of failed runs above which the session ends", most=1
    ),
    "patience_s": Key(float | None, 1, "seconds without a step after which a worker is ended"),
    "stop_after": Key(
        int | None, 1, "number of runs that fail with one error before the session ends"
    ),
}

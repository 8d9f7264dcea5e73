"""Options of a sweep besides its tasks and estimators, as plain data."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from raysweep.sweep.space import Value

Mode = Literal["min", "max"]
Pruner = Literal["asha", "hyperband", "median", "patient", "racing"]

# Settings of each pruner: type, default, smallest value.
PRUNERS: Mapping[str, Mapping[str, tuple[Any, Any, float | None]]] = {
    "asha": {
        "grace": (int | None, None, 1),
        "reduction": (int, 3, 2),
    },
    "hyperband": {"grace": (int | None, None, 1), "reduction": (int, 3, 2)},
    "median": {
        "grace": (int | None, None, 1),
        "interval": (int | None, None, 1),
        "n_startup_trials": (int, 5, 1),
        "n_min_trials": (int, 1, 1),
    },
    "patient": {
        "grace": (int | None, None, 1),
        "interval": (int | None, None, 1),
        "patience": (int, 3, 0),
        "min_delta": (float, 0.0, 0),
    },
    "racing": {"start": (int, 2, 2), "p_threshold": (float, 0.1, 0)},
}

# Trackers, with the meaning of the text that each takes in the sweep file.
TRACKERS: Mapping[str, str] = {
    "tensorboard": "folder below which the event files of the sweep are written",
    "wandb": "project of Weights & Biases, or entity/project",
    "mlflow": "URI of an MLflow server or database, or a folder",
}


@dataclasses.dataclass(frozen=True)
class Search:
    """Search for configurations: a sampler and its settings.

    Args:
        sampler: Name of the sampler in `raysweep.search.samplers`.
        configurations: Number of configurations per arm; None with a grid, or if only a budget
            ends the search.
        seed: Seed that decides the proposals, together with the results so far.
        batch: Number of configurations that train at once per arm; None for a tenth of all, and
            more while a worker is idle.
        settings: Settings of the sampler, by Optuna's names.
        first: Points to try first, each with values of some searched settings.
        source: Name of another sweep in the store, whose results the search starts from.
    """

    sampler: str = "grid"
    configurations: int | None = None
    seed: int = 0
    batch: int | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    first: tuple[Mapping[str, Value], ...] = ()
    source: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Search":
        """Return the search that `dataclasses.asdict` turned into plain data."""
        return cls(**{**data, "first": tuple(data.get("first", ()))})


@dataclasses.dataclass(frozen=True)
class Select:
    """The metric by which a configuration is selected, as its mean over seeds.

    Args:
        metric: Name of the metric.
        mode: Whether low (`min`) or high (`max`) values are better.
        second: Second metric, where the best trade-offs between two are sought.
    """

    metric: str = "train_loss"
    mode: Mode = "min"
    second: "Select | None" = None

    @property
    def all(self) -> "tuple[Select, ...]":
        """The one metric, or both."""
        return (self,) if self.second is None else (self, self.second)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Select":
        """Return the selection that `dataclasses.asdict` turned into plain data."""
        second = data.get("second")
        return cls(data["metric"], data["mode"], cls.from_json(second) if second else None)


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Early stopping of poor configurations: a pruner and its settings.

    Args:
        pruner: `asha`, `hyperband`, `median` and `patient` compare configurations at rungs, by
            steps; `racing` compares finished runs, and adds seeds to configurations that are not
            yet clearly worse.
        metric: Name of the metric whose mean over seeds is compared.
        mode: Whether low (`min`) or high (`max`) values are better.
        settings: Value of each setting of the pruner.
    """

    pruner: Pruner
    metric: str
    mode: Mode
    settings: Mapping[str, Any]

    @property
    def by_steps(self) -> bool:
        """Whether configurations are compared while they train."""
        return self.pruner != "racing"

    def rungs(self, steps: int, report_every: int) -> tuple[int, ...]:
        """Return the steps at which runs of that length are compared, all before their end.

        They are multiples of `report_every`, as the compared values are rows of curves.
        """
        if not self.by_steps:
            return ()
        grace = self.grace(steps, report_every)
        if "reduction" in self.settings:
            rungs = [grace]
            while rungs[-1] < steps:
                rungs.append(rungs[-1] * self.settings["reduction"])
        else:
            interval = _round_up(self.settings["interval"] or grace, report_every)
            rungs = list(range(grace, steps, interval))
        return tuple(step for step in rungs if step < steps)

    def grace(self, steps: int, report_every: int) -> int:
        """Return the step of the first comparison of runs of that length; at most their last."""
        given = self.settings["grace"]
        if given is None:
            reduction = self.settings.get("reduction")
            given = steps / reduction**2 if reduction else steps / 10
        return min(_round_up(given, report_every), steps)


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limits of a search over all sessions; None is no limit.

    Args:
        hours: Hours of training, summed over workers: GPU-hours, where a worker has one GPU.
        runs: Number of runs, those on fresh seeds included.
    """

    hours: float | None = None
    runs: int | None = None

    def __bool__(self) -> bool:
        return self.hours is not None or self.runs is not None


NO_BUDGET = Budget()


@dataclasses.dataclass(frozen=True)
class Resources:
    """Resources of one worker, and limits on failures.

    Args:
        cpu: CPU cores per worker.
        gpu: GPUs per worker; a fraction shares one.
        pack: Number of runs that train together, or `auto`.
        max_failures: Number of failed attempts after which a run is not tried again.
        checkpoint_s: Seconds between two checkpoints of a pack.
        max_failed_fraction: Share of the runs that may fail before the session ends; None
            for no limit.
        stop_after: Number of runs after which the session ends if all of them failed, with the
            same error, and none ended otherwise; None for no limit.
        patience_s: Seconds without a step after which the worker of a pack is killed; None for
            no limit.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    pack: int | Literal["auto"] = "auto"
    max_failures: int = 3
    checkpoint_s: float = 60.0
    max_failed_fraction: float | None = None
    patience_s: float | None = None
    stop_after: int | None = 5


def _round_up(steps: float, report_every: int) -> int:
    """Return the smallest positive multiple of `report_every` that is at least `steps`."""
    return max(1, math.ceil(steps / report_every)) * report_every

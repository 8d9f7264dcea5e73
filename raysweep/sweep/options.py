"""What a sweep file says besides its tasks and estimators. Plain data."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from raysweep.sweep.space import Value

Mode = Literal["min", "max"]
Pruner = Literal["asha", "hyperband", "median", "patient", "racing"]

# Settings of the pruners: type, default, least value.
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


@dataclasses.dataclass(frozen=True)
class Search:
    """How configurations are found.

    Args:
        sampler: Name in `raysweep.search.samplers`.
        configurations: How many per arm; the grid has its own number, a budget may set it too.
        seed: Decides the proposals, together with the results so far.
        batch: Configurations in flight per arm; None for a tenth of all, and no idle worker.
        settings: The sampler's own, by Optuna's names.
        first: Points to try first: some searched settings each, by key `section.name`.
        source: Another sweep in the store whose results are prior observations.
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
        """The search that `dataclasses.asdict` made plain."""
        return cls(**{**data, "first": tuple(data.get("first", ()))})


@dataclasses.dataclass(frozen=True)
class Select:
    """The metric by which a configuration is selected, as its mean over seeds.

    Args:
        metric: Its name.
        mode: Which values are better.
        second: Another one, where the best trade-offs between two are sought.
    """

    metric: str = "train_loss"
    mode: Mode = "min"
    second: "Select | None" = None

    @property
    def all(self) -> "tuple[Select, ...]":
        """One or both."""
        return (self,) if self.second is None else (self, self.second)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Select":
        """The selection that `dataclasses.asdict` made plain."""
        second = data.get("second")
        return cls(data["metric"], data["mode"], cls.from_json(second) if second else None)


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """How poor configurations are stopped before their end.

    Args:
        pruner: `asha`, `hyperband`, `median` and `patient` judge at rungs, by steps; `racing`
            judges whole runs, and adds seeds to what is not yet clearly worse.
        metric: Of which the mean over a configuration's seeds is judged.
        mode: Which values are better.
        settings: The pruner's, each with its value.
    """

    pruner: Pruner
    metric: str
    mode: Mode
    settings: Mapping[str, Any]

    @property
    def by_steps(self) -> bool:
        """Whether runs are judged while they train."""
        return self.pruner != "racing"

    def rungs(self, steps: int, report_every: int) -> tuple[int, ...]:
        """The steps at which runs of that length are judged, all of them before its end.

        They are multiples of `report_every`, as the values judged are curve rows.
        """
        if not self.by_steps:
            return ()
        grace = self.grace(steps, report_every)
        if "reduction" in self.settings:
            found = [grace]
            while found[-1] < steps:
                found.append(found[-1] * self.settings["reduction"])
        else:
            interval = _up(self.settings["interval"] or grace, report_every)
            found = list(range(grace, steps, interval))
        return tuple(step for step in found if step < steps)

    def grace(self, steps: int, report_every: int) -> int:
        """Steps before a run of that length is judged at all; at most its own steps."""
        given = self.settings["grace"]
        if given is None:
            reduction = self.settings.get("reduction")
            given = steps / reduction**2 if reduction else steps / 10
        return min(_up(given, report_every), steps)


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a search may use, all sessions together; None is no limit.

    Args:
        hours: Of workers: GPU-hours, where a worker has one GPU.
        runs: Runs, those on fresh seeds included.
    """

    hours: float | None = None
    runs: int | None = None

    def __bool__(self) -> bool:
        return self.hours is not None or self.runs is not None


NO_BUDGET = Budget()


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one worker gets and how it works.

    Args:
        cpu: CPU cores per worker.
        gpu: GPUs per worker; a fraction shares one.
        pack: Runs trained together, or `auto`.
        max_failures: Failed attempts after which a run is left alone.
        checkpoint_s: Seconds between two checkpoints of a pack.
        max_failed_fraction: The share of the runs that may fail before the session ends; None
            for any.
        patience_s: Seconds without a step after which the worker of a pack is ended; None for
            never.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    pack: int | Literal["auto"] = "auto"
    max_failures: int = 3
    checkpoint_s: float = 60.0
    max_failed_fraction: float | None = None
    patience_s: float | None = None


def _up(steps: float, grid: int) -> int:
    """The first multiple of the grid that is not below."""
    return max(1, math.ceil(steps / grid)) * grid

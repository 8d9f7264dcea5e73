"""Settings of a mixture's fit, and the data and the start that they determine."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.noise import Noise
from raysweep.tasks.base import setting
from raysweep.tasks.training.schedules import ScheduledSettings

COMPONENTS = 2
"""Number of components of every mixture, C."""
_RELAXED = {"fit": ("relaxed_reinforce",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GmmSettings(ScheduledSettings):
    """Settings of `Gmm`.

    Data, start and relaxation are those of the published experiment, in one dimension. It
    takes 100 plain gradient steps at a rate of 0.5 (0.1 for trajectories), times 0.99 after each.
    Here adam takes 300 at a constant rate, which reaches the maximum with exact gradients; with
    sgd at 0.5 one component ends with all the weight. The experiment's settings in two dimensions
    are not known: the defaults keep components well apart.

    Raises:
        ValueError: If a value is out of its range.
    """

    fit: Literal["estimator", "em", "relaxed_reinforce"] = setting(
        "estimator",
        "gradients by the estimator; expectation maximisation, an iteration per step; or the score "
        "function in the relaxed model; the last two require the estimator exact but do not use it",
    )
    dimensions: int = setting(1, "number of dimensions of the data, D: 1 or 2")
    examples: int = setting(200, "number of data points, all of them in every update")
    data_seed: int = setting(28, "seed of the data, the same for runs of every seed")
    weights: tuple[float, ...] = setting((0.3, 0.7), "the components' shares of the data")
    means: tuple[float, ...] = setting((-3.0, 3.0), "the components' means, on every axis")
    scales: tuple[float, ...] = setting(
        (2.0, 1.0), "the components' standard deviations, on every axis"
    )
    start: Literal["fixed", "data"] = setting(
        "fixed", "initial means: start_means, or data points drawn with the run's seed"
    )
    start_means: tuple[float, ...] = setting(
        (-7.0, 7.0),
        "initial means on the first axis; on the second they are 0",
        only_if={"start": ("fixed",)},
    )
    relaxation: float = setting(
        1.0, "temperature of relaxed_reinforce's soft samples, > 0", only_if=_RELAXED
    )
    relaxed_samples: int = setting(
        200, "number of samples per example of relaxed_reinforce", only_if=_RELAXED
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("adam", "update rule; the paper's is sgd")
    lr: float = setting(0.1, "learning rate, > 0", per_replica=True)
    steps: int = setting(300, "parameter updates, or iterations of EM; the paper has 100")
    batch_size: int = setting(200, "unused: every update sees all examples")
    report_every: int = setting(1, "steps between two rows of a curve")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions not in (1, 2):
            raise ValueError(f"dimensions must be 1 or 2, got {self.dimensions}")
        if self.examples < COMPONENTS:
            raise ValueError(f"examples must be at least {COMPONENTS}, got {self.examples}")
        for name in ("weights", "means", "scales", "start_means"):
            if len(getattr(self, name)) != COMPONENTS:
                raise ValueError(
                    f"{name} must hold {COMPONENTS} numbers, one per component, "
                    f"got {getattr(self, name)}"
                )
        for name in ("weights", "scales"):
            if not all(value > 0 for value in getattr(self, name)):
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError(f"weights must sum to 1, got {self.weights}")
        if not self.relaxation > 0:
            raise ValueError(f"relaxation must be positive, got {self.relaxation}")
        if self.relaxed_samples < 1:
            raise ValueError(f"relaxed_samples must be at least 1, got {self.relaxed_samples}")


def draw_data(settings: GmmSettings) -> Float[Tensor, "B D"]:
    """Draw the examples, in float64 on the CPU, so that they are the same on every device."""
    uniform = Noise(settings.data_seed, purpose="data").uniform(
        settings.examples, 1 + settings.dimensions, dtype=torch.float64
    )
    shares, centres, scales = (
        torch.tensor(values, dtype=torch.float64)
        for values in (settings.weights, settings.means, settings.scales)
    )
    component = (uniform[:, :1] >= shares.cumsum(0)[:-1]).sum(-1)
    normal = torch.special.ndtri(uniform[:, 1:])
    return centres[component, None] + scales[component, None] * normal


def draw_start(settings: GmmSettings, seeds: Sequence[int]) -> Float[Tensor, "R C D"]:
    """Draw the initial means, in float64 on the CPU; they are the same for every kind of fit."""
    if settings.start == "data":
        keys = Noise(seeds=seeds, purpose="init").uniform(
            len(seeds), settings.examples, dtype=torch.float64
        )
        return draw_data(settings)[keys.argsort(-1)[:, :COMPONENTS]]
    start = torch.zeros(len(seeds), COMPONENTS, settings.dimensions, dtype=torch.float64)
    start[..., 0] = torch.tensor(settings.start_means, dtype=torch.float64)
    return start

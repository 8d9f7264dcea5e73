"""Settings of the comparison of layered gradients with the exact ones."""

import dataclasses
from typing import Literal

from raysweep.tasks.base import TrainingSettings, check_interval, setting

MAX_UNITS = 10  # 2 ** 20 transitions for each layer and replica


@dataclasses.dataclass(frozen=True, kw_only=True)
class SbnGradientQualitySettings(TrainingSettings):
    """Settings of `SbnGradientQuality`.

    Defaults follow Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, appendix C.1, and their
    code; with the default number of steps, the measurement is after epoch 1.

    Raises:
        ValueError: If a value is out of its range.
    """

    units: int = setting(5, "units of every layer, at most 10 so that states can be enumerated")
    layers: int = setting(3, "layers of stochastic binary units")
    trained_by: Literal["reinforce", "exact", "estimator"] = setting(
        "reinforce",
        "gradient that the run follows: REINFORCE's, so that all methods are measured at the same "
        "parameters; the exact one; or the measured method's",
    )
    estimates: int = setting(
        1, "number of estimates that are averaged before they are compared", per_replica=True
    )
    draws: int = setting(10_000, "number of estimates drawn for a measurement", smoke=20)
    exact_baseline: bool = setting(
        False, "give methods that take a baseline each point's exact expected loss"
    )
    evaluate_every: int | None = setting(
        None,
        "steps between two measurements during training, for the curves; a multiple of "
        "report_every; only at the end if not set",
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("sgd", "update rule")
    lr: float = setting(0.03, "learning rate, > 0", per_replica=True)
    momentum: float = setting(0.9, "momentum of sgd, in [0, 1)", per_replica=True)
    steps: int = setting(20, "parameter updates: 20 are an epoch")
    batch_size: int = setting(10, "points per update")
    report_every: int = setting(20, "steps between two rows of a curve")
    dtype: Literal["float32", "float64"] = setting("float64", "floating point format")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.units <= MAX_UNITS:
            raise ValueError(f"units must be in 1..{MAX_UNITS}, got {self.units}")
        for name in ("layers", "estimates", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_interval(self.evaluate_every, self.report_every)

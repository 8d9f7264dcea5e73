"""Settings of every task with an encoder, a discrete code and a decoder."""

import dataclasses
import math
from typing import Literal

from raysweep.tasks.base import setting
from raysweep.tasks.images.settings import ImageSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderDecoderSettings(ImageSettings):
    """Settings of nets, besides those of images and evaluations.

    Raises:
        ValueError: If a value is out of its range.
    """

    latents: int = setting(4, "number of latent variables, L")
    hidden: tuple[int, ...] = setting(
        (512, 256), "widths of the encoder's hidden layers; the decoder mirrors them"
    )
    activation: Literal["relu", "leaky_relu", "tanh"] = setting(
        "relu", "activation of the hidden layers"
    )
    slope: float = setting(
        0.01,
        "slope of leaky_relu below zero, in [0, 1)",
        only_if={"activation": ("leaky_relu",)},
    )
    initialisation: Literal["torch", "glorot"] = setting(
        "torch", "uniform in ±1/sqrt(inputs), biases too; or Glorot's uniform, biases 0"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden widths must be at least 1, got {self.hidden}")
        if self.latents < 1:
            raise ValueError(f"latents must be at least 1, got {self.latents}")
        if not 0 <= self.slope < 1:
            raise ValueError(f"slope must be in [0, 1), got {self.slope}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaeSettings(EncoderDecoderSettings):
    """Settings of a task with a prior, besides those of images, nets and evaluation.

    Raises:
        ValueError: If a value is out of its range.
    """

    prior: str = setting("fixed", "p(D): one of the task's priors")
    prior_lr: float | None = setting(
        None,
        "learning rate of the prior's logits by plain gradient descent; if not set, the optimizer "
        "updates them like all else",
    )  # not per replica: a pack has one update rule for its priors
    divergence: Literal["analytic", "sampled"] = setting(
        "analytic", "KL(q || prior) in training: exact, or log q - log p of the sampled codes"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior_lr is not None and not (self.prior_lr > 0 and math.isfinite(self.prior_lr)):
            raise ValueError(f"prior_lr must be positive, got {self.prior_lr}")
        if self.prior_lr is not None and self.prior == "fixed":
            raise ValueError("prior_lr needs a prior that is learned, got prior fixed")

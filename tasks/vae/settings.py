"""Settings of every task with an encoder, a discrete code and a decoder."""

import dataclasses
import math
from typing import Literal

from raysweep.tasks import data
from raysweep.tasks.base import Open, TrainingSettings, setting
from raysweep.tasks.data import npz

DATASETS = Open(data.grey_names, {"npz": npz.use})


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderDecoderSettings(TrainingSettings):
    """Settings of images, nets and evaluation.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: str = setting("mnist", "images to model", known=DATASETS)
    binarisation: Literal["none", "threshold", "static", "dynamic"] = setting(
        "none",
        "grey values as they are; 1 above a half; drawn with the grey values as probabilities, "
        "once for all runs (static) or anew for every batch (dynamic; validation and test images "
        "are drawn once)",
    )
    validation_examples: int = setting(
        0, "number of validation images: the data set's own, or else the last training images"
    )
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
    center_input: bool = setting(False, "subtract the mean training image from the encoder's input")
    output_bias_from_data: bool = setting(
        False, "start the decoder's last bias at the log-odds of the mean training image"
    )
    gradient_variance: bool = setting(
        False, "report the variance of the encoder's gradient (metric gradient_variance)"
    )
    evaluate_every: int | None = setting(
        None,
        "steps between two evaluations during training, for the curves; a multiple of "
        "report_every; only at the end if not set",
    )
    evaluation_examples: int | None = setting(
        None,
        "number of test and validation images that are evaluated, the first ones; all if not set",
        smoke=200,
    )
    evaluation_samples: int = setting(
        1, "codes drawn per test image for the one-sample bound", smoke=2
    )
    bound_samples: int = setting(
        100, "codes drawn per test image for the multi-sample bound", smoke=2
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden widths must be at least 1, got {self.hidden}")
        for name in ("latents", "evaluation_examples", "evaluation_samples", "bound_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        every = self.evaluate_every
        if every is not None and (every < 1 or every % self.report_every):
            raise ValueError(
                f"evaluate_every must be a multiple of report_every, {self.report_every}, "
                f"got {every}"
            )
        if not 0 <= self.slope < 1:
            raise ValueError(f"slope must be in [0, 1), got {self.slope}")
        source = data.get(self.dataset)
        if not source.is_grey:
            raise ValueError(f"dataset must hold images of grey values, got {self.dataset}")
        largest = source.valid or source.train - 1
        if not 0 <= self.validation_examples <= largest:
            raise ValueError(
                f"validation_examples must be in 0..{largest} for {self.dataset}, "
                f"got {self.validation_examples}"
            )

    @property
    def training_examples(self) -> int:
        """Number of training images."""
        source = data.get(self.dataset)
        return source.train - (0 if source.valid else self.validation_examples)


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

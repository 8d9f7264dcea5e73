"""Settings of every task that explains images by a discrete code."""

import dataclasses
from typing import Literal

from raysweep.tasks import data
from raysweep.tasks.base import Open, check_interval, setting
from raysweep.tasks.data import npz
from raysweep.tasks.training.schedules import ScheduledSettings

DATASETS = Open(data.grey_names, {"npz": npz.use})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings(ScheduledSettings):
    """Settings of images and evaluations.

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
        for name in ("evaluation_examples", "evaluation_samples", "bound_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        check_interval(self.evaluate_every, self.report_every)
        source = data.get(self.dataset)
        if not source.is_grey:
            raise ValueError(f"dataset must hold images of grey values, got {self.dataset}")
        source.check_validation(self.validation_examples)

    @property
    def training_examples(self) -> int:
        """Number of training images."""
        return data.get(self.dataset).training_examples(self.validation_examples)

    @property
    def test_examples(self) -> int:
        """Number of test images that are evaluated."""
        images = data.get(self.dataset).test
        return images if self.evaluation_examples is None else min(images, self.evaluation_examples)

    def batch_refusal(self) -> str | None:
        """Return the reason why a batch cannot be drawn from the training images, or None."""
        if self.batch_size <= self.training_examples:
            return None
        return (
            f"batch_size must be at most {self.training_examples}, the training images "
            f"of {self.dataset}, got {self.batch_size}"
        )

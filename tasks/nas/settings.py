"""Settings of the search of cells with a supernet."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

from raysweep.tasks import data
from raysweep.tasks.base import Open, setting
from raysweep.tasks.data.nats_bench import DataSet
from raysweep.tasks.nas.supernet import STAGES, Sizes
from raysweep.tasks.training.schedules import ScheduledSettings

BENCHMARKS: Mapping[str, DataSet] = {
    "cifar10": "cifar10",
    "cifar10_subset": "cifar10",
    "cifar10_jpeg": "cifar10",
    "cifar100": "cifar100",
    "imagenet16": "imagenet16",
}
"""Data sets of NATS-Bench, by the name of the images that cells are searched on."""

SHRINK = 2 ** (STAGES - 1)
"""Factor by which the sides of images shrink in the supernet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NasSettings(ScheduledSettings):
    """Settings of `Nas`.

    Defaults are those of GDAS in the published code of NATS-Bench, arXiv:2009.00437.

    Raises:
        ValueError: If a value is out of its range, or values do not fit each other.
    """

    dataset: str = setting("cifar10", "images to search on", known=Open(data.labelled_names, {}))
    benchmark: Literal["cifar10", "cifar100", "imagenet16"] | None = setting(
        None,
        "images that the cells of the benchmark were trained on, whose accuracies are looked up; "
        "those of dataset if not set",
    )
    full: bool = setting(
        False, "read the benchmark itself, which also has val_200, instead of the accuracy table"
    )
    architecture_set: Literal["training", "test"] = setting(
        "training",
        "images for the updates of the architecture: the last training images (or the data set's "
        "validation images), left out of the updates of the weights; or the first test images, as "
        "the published search takes half of those of CIFAR-100 and ImageNet-16-120",
    )
    architecture_examples: int = setting(
        25_000, "number of images for the updates of the architecture", smoke=1000
    )
    augmentation: Literal["none", "flip_crop"] = setting(
        "flip_crop",
        "change of images in both updates: none, or horizontal flips and shifts by up to 4 pixels; "
        "black outside",
    )
    channels: int = setting(16, "channels of the first stage", smoke=4)
    cells: int = setting(5, "cells of every stage", smoke=1)
    unselected: Literal["zero", "evaluated"] = setting(
        "zero",
        "gradient of an operation that is not sampled: that of an output of 1, as in the published "
        "code, or the true one, for which all operations are evaluated",
    )
    evaluation_examples: int | None = setting(
        None,
        "images for the architecture that the found cell is evaluated on, the first ones, in whole "
        "batches; all if not set",
        smoke=8,
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("sgd", "update rule of the weights")
    lr: float = setting(0.025, "learning rate, > 0, of the weights at the start", per_replica=True)
    final_lr: float = setting(
        0.001, "learning rate, > 0, of the weights at the end of a half cosine", per_replica=True
    )
    weight_decay: float = setting(
        5e-4, "L2 penalty added to the gradient of the weights, >= 0", per_replica=True
    )
    momentum: float = setting(
        0.9, "momentum of sgd, in [0, 1)", per_replica=True, only_if={"optimizer": ("sgd",)}
    )
    nesterov: bool = setting(
        True, "Nesterov's form of sgd's momentum", only_if={"optimizer": ("sgd",)}
    )
    architecture_lr: float = setting(
        3e-4, "learning rate, > 0, of the architecture, by adam", per_replica=True
    )
    architecture_weight_decay: float = setting(
        1e-3, "L2 penalty added to the gradient of the architecture, >= 0", per_replica=True
    )
    architecture_beta1: float = setting(
        0.5, "decay of the first moment of the architecture", per_replica=True
    )
    architecture_beta2: float = setting(
        0.999, "decay of the second moment of the architecture", per_replica=True
    )
    steps: int = setting(39_000, "updates of weights and architecture: 100 epochs of CIFAR-10")
    batch_size: int = setting(64, "images per update", smoke=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("architecture_examples", "channels", "cells", "evaluation_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        _check_images(self)
        for name in ("final_lr", "architecture_lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not self.architecture_weight_decay >= 0:
            raise ValueError(
                f"architecture_weight_decay must be >= 0, got {self.architecture_weight_decay}"
            )
        for name in ("architecture_beta1", "architecture_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def looked_up(self) -> DataSet:
        """Data set of NATS-Bench whose accuracies are looked up."""
        return self.benchmark or BENCHMARKS[self.dataset]

    @property
    def weight_examples(self) -> int:
        """Number of images for the updates of the weights."""
        return data.get(self.dataset).training_examples(self.validation_examples)

    @property
    def validation_examples(self) -> int:
        """Number of images that are kept from the updates of the weights."""
        return self.architecture_examples if self.architecture_set == "training" else 0

    @property
    def sizes(self) -> Sizes:
        """Sizes of the supernet."""
        source = data.get(self.dataset)
        return Sizes(source.shape[0], source.classes, self.channels, self.cells)


def _check_images(settings: NasSettings) -> None:
    """Check that the supernet can be trained on the data set.

    Raises:
        ValueError: If it cannot.
    """
    source = data.get(settings.dataset)
    if not source.classes or not source.shape:
        raise ValueError(f"dataset must be images with labels, got {settings.dataset}")
    if settings.benchmark is None and settings.dataset not in BENCHMARKS:
        raise ValueError(
            f"benchmark must be set to cifar10, cifar100 or imagenet16, as NATS-Bench has no cells "
            f"trained on dataset {settings.dataset}"
        )
    if any(side % SHRINK or side < SHRINK for side in source.shape[1:]):
        sides = " x ".join(map(str, source.shape[1:]))
        raise ValueError(
            f"dataset must have images with sides that {SHRINK} divides, got {settings.dataset} "
            f"with {sides}"
        )
    _check_architecture_examples(settings, source)
    smallest = min(settings.weight_examples, settings.architecture_examples)
    if settings.batch_size > smallest:
        raise ValueError(
            f"batch_size must be at most {smallest}, the images of one kind of update, got "
            f"{settings.batch_size}"
        )
    pixels = math.prod(side // SHRINK for side in source.shape[1:])
    evaluated = settings.evaluation_examples or settings.architecture_examples
    for name, images in (("batch_size", settings.batch_size), ("evaluation_examples", evaluated)):
        if images * pixels == 1:
            raise ValueError(
                f"{name} must be at least 2 for images of {SHRINK} x {SHRINK}, of which the last "
                f"stage has one pixel, as a batch is normalised by its own moments; got {images}"
            )


def _check_architecture_examples(settings: NasSettings, source: data.Source) -> None:
    """Check that there are so many images for the updates of the architecture.

    Raises:
        ValueError: If there are not.
    """
    largest, images = source.test, "test images"
    if settings.architecture_set == "training" and source.valid:
        largest, images = source.valid, "validation images"
    elif settings.architecture_set == "training":
        largest, images = source.train - 1, "training images but one"
    if settings.architecture_examples > largest:
        raise ValueError(
            f"architecture_examples must be in 1..{largest}, the {images} of {settings.dataset}, "
            f"got {settings.architecture_examples}"
        )

"""Settings of a classifier, and the sizes of its layers that they determine."""

import dataclasses
import math
from itertools import pairwise
from typing import Literal

from raysweep.tasks import data
from raysweep.tasks.base import Open, check_interval, setting
from raysweep.tasks.training.schedules import ScheduledSettings

LABELLED = Open(data.labelled_names, {})
_DENSE = {"network": ("dense",)}
_CONVOLUTIONAL = {"network": ("convolutional",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SbnClassifierSettings(ScheduledSettings):
    """Settings of `SbnClassifier`.

    Defaults follow Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 3 and appendix
    C.2, and their code; the learning rate, which they search for each method, is ours.

    Raises:
        ValueError: If a value is out of its range, or values do not fit each other.
    """

    dataset: str = setting("cifar10", "examples to classify", known=LABELLED)
    validation_examples: int = setting(
        5000, "number of validation examples: the data set's own, or else the last training ones"
    )
    augmentation: Literal["none", "affine", "flip_crop"] = setting(
        "none",
        "change of training images: none; shifts by up to 5 % and rotations by up to 10 degrees, "
        "linearly interpolated; or horizontal flips and shifts by up to 4 pixels; black outside",
    )
    network: Literal["convolutional", "dense"] = setting("convolutional", "kind of the layers")
    hidden: tuple[int, ...] = setting(
        (5, 5, 5), "units of each dense layer; those of the 2-D points in the paper", only_if=_DENSE
    )
    depths: tuple[int, ...] = setting(
        (96, 96, 96, 192, 192, 192, 192, 192),
        "channels of each convolutional layer",
        only_if=_CONVOLUTIONAL,
    )
    kernels: tuple[int, ...] = setting(
        (3, 3, 3, 3, 3, 3, 3, 1), "width of each layer's kernels", only_if=_CONVOLUTIONAL
    )
    strides: tuple[int, ...] = setting(
        (1, 1, 2, 1, 1, 2, 1, 1), "step of each layer's kernels", only_if=_CONVOLUTIONAL
    )
    whitening: Literal["sampled", "tanh"] = setting(
        "sampled",
        "states in the pass that whitens the initial pre-activations: as the network draws them, "
        "or tanh(a) as in the public code, with which variances are then above 1",
    )
    whitening_examples: int = setting(
        128, "number of training examples in that pass, at most all", smoke=8
    )
    head_bound: float | None = setting(
        None,
        "initial weights and biases of the class scores are uniform in plus or minus this; "
        "1 / sqrt(inputs) if not set",
    )
    baseline: Literal["none", "running"] = setting(
        "none",
        "baseline of score functions (reinforce, muprop, rebar): none, or for each training "
        "example the running average (decay 0.9) of its losses, which starts at log(classes)",
    )
    evaluate_training: bool = setting(
        False, "evaluate training examples too, as they are without augmentation"
    )
    evaluate_every: int | None = setting(
        None,
        "steps between two evaluations during training, for the curves; a multiple of "
        "report_every; only at the end if not set",
    )
    evaluation_examples: int | None = setting(
        None,
        "number of examples of each kind that are evaluated, the first ones; all if not set",
        smoke=2,
    )
    optimizer: Literal["adam", "radam", "sgd"] = setting("sgd", "update rule")
    lr: float = setting(0.01, "learning rate, > 0", per_replica=True)
    momentum: float = setting(
        0.9, "momentum of sgd, in [0, 1)", per_replica=True, only_if={"optimizer": ("sgd",)}
    )
    nesterov: bool = setting(
        True, "Nesterov's form of sgd's momentum", only_if={"optimizer": ("sgd",)}
    )
    steps: int = setting(1_406_000, "parameter updates: 2,000 epochs of CIFAR-10")
    batch_size: int = setting(64, "examples per update", smoke=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        source = data.get(self.dataset)
        if not source.classes:
            raise ValueError(f"dataset must have labels, got {self.dataset}")
        source.check_validation(self.validation_examples)
        if self.augmentation != "none" and not source.shape:
            raise ValueError(
                f"augmentation {self.augmentation} needs images, got dataset {self.dataset}; set "
                "it to none"
            )
        for name in ("whitening_examples", "evaluation_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.head_bound is not None and not (
            self.head_bound > 0 and math.isfinite(self.head_bound)
        ):
            raise ValueError(f"head_bound must be positive, got {self.head_bound}")
        check_interval(self.evaluate_every, self.report_every)
        _check_layers(self, source)

    @property
    def training_examples(self) -> int:
        """Number of training examples."""
        return data.get(self.dataset).training_examples(self.validation_examples)

    @property
    def scores(self) -> int:
        """Number of outputs of the head: a score for each class, or one for two classes."""
        classes = data.get(self.dataset).classes
        return 1 if classes == 2 else classes

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the input and of every layer's units, without leading axes."""
        source = data.get(self.dataset)
        if self.network == "dense":
            return [(source.features,), *((units,) for units in self.hidden)]
        shapes = [source.shape]
        for depth, kernel, stride in zip(self.depths, self.kernels, self.strides, strict=True):
            sides = [(side - kernel) // stride + 1 for side in shapes[-1][1:]]
            shapes.append((depth, *sides))
        return shapes

    @property
    def units(self) -> list[int]:
        """Numbers of inputs and of every layer's units."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        if self.network == "dense":
            maps = sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.units))
        else:
            channels = pairwise(shape[0] for shape in self.shapes)
            maps = sum(
                (inputs * kernel**2 + 1) * outputs
                for (inputs, outputs), kernel in zip(channels, self.kernels, strict=True)
            )
        return maps + (self.units[-1] + 1) * self.scores


def _check_layers(settings: SbnClassifierSettings, source: data.Source) -> None:
    """Check the sizes of the layers.

    Raises:
        ValueError: If the network cannot be built, or does not fit the examples.
    """
    if settings.network == "dense":
        if not settings.hidden or min(settings.hidden) < 1:
            raise ValueError(f"hidden must hold numbers from 1 on, got {list(settings.hidden)}")
        return
    if not source.shape:
        raise ValueError(
            f"network convolutional needs images, got dataset {settings.dataset}; set network to "
            "dense"
        )
    names = ("depths", "kernels", "strides")
    lists = {name: list(getattr(settings, name)) for name in names}
    if len({len(values) for values in lists.values()}) > 1:
        raise ValueError(f"{', '.join(names)} must have a number for each layer, got {lists}")
    for name, values in lists.items():
        if not values or min(values) < 1:
            raise ValueError(f"{name} must hold numbers from 1 on, got {values}")
    for shape, kernel in zip(settings.shapes, settings.kernels, strict=False):
        if shape and min(shape[1:]) < kernel:
            raise ValueError(
                f"a kernel of {kernel} needs inputs of at least its size, got "
                f"{' × '.join(map(str, shape[1:]))}; use smaller kernels or strides"
            )

"""Networks of layers of ±1 units over images: their maps, their codes and the training loss."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from raysweep.estimators.layered import Dense, General, Layer, LayeredEstimator, Path, PathObjective
from raysweep.estimators.layered.sampling import draw
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES
from raysweep.tasks.images.bounds import BOUND_CODES, Codes
from raysweep.tasks.images.model import ImageModel
from raysweep.tasks.images.variance import GradientVariance
from raysweep.tasks.sbn.settings import BeliefSettings
from raysweep.tasks.training.layers import MLP, initial
from raysweep.tasks.training.loop import Losses


class Widths(NamedTuple):
    """Numbers of units before and after every map of a network.

    Args:
        inference: Widths of the maps from the encoded image on.
        generative: Widths of the maps towards the target, first the one onto its pixels.
        fitted: Widths of the maps of another inference network, if there is one.
    """

    inference: list[tuple[int, int]]
    generative: list[tuple[int, int]]
    fitted: list[tuple[int, int]] = []  # noqa: RUF012 - never changed


class BeliefNetwork(ImageModel):
    """Network whose units are drawn layer by layer from an image; a subclass adds the objective.

    Args:
        settings: Settings of the task.
        widths: Widths of all maps.
        seeds: Seed of each replica.
        device: Device of parameters and images.
        loss: Name of the minimised loss in metrics.
        encoded: Number of pixels that units are drawn from, the first ones; the others are the
            target. If None, units are drawn from all pixels, and all are the target.
        further: Names of the metrics that evaluations report besides losses and bounds.
    """

    def __init__(
        self,
        settings: BeliefSettings,
        widths: Widths,
        seeds: Sequence[int],
        device: torch.device,
        *,
        loss: str,
        encoded: int | None,
        further: Sequence[str] = (),
    ) -> None:
        super().__init__(settings, seeds, device, loss=loss, encoded=encoded, further=further)
        init = Noise(seeds=list(seeds), purpose="init")
        self.inference, self.generative = (
            nn.ModuleList(new_maps(maps, settings, init, device))
            for maps in (widths.inference, widths.generative)
        )
        if settings.output_bias_from_data:
            last_bias(self.onto_target).data.copy_(self.target_odds())
        if settings.gradient_variance:
            self.observer = GradientVariance(dict(self.inference.named_parameters("inference")))

    @property
    def layers(self) -> list[Layer]:
        """Layers from the encoded image on, as estimators take them."""
        return [cast(Layer, layer) for layer in self.inference]

    @property
    def onto_target(self) -> Layer:
        """Map from a layer of units onto the target's pixels."""
        return cast(Layer, self.generative[0])

    @abstractmethod
    def objective(self, target: Float[Tensor, "R B T"]) -> PathObjective:
        """Return the loss of paths through the layers, whose expectation is minimised.

        Args:
            target: Target of the images.
        """

    @abstractmethod
    def context(self, images: Float[Tensor, "R B D"]) -> Float[Tensor, "R B F"]:
        """Return the input of learned baselines.

        Args:
            images: Whole images, not centred.
        """

    def losses(self, step: int, estimator: LayeredEstimator, noise: Noise) -> Losses:
        """Return the loss at hard samples and, where the method relaxes, the one it follows."""
        images = self.images.batch(step)
        x, target = self.split(images)
        estimate = estimator.estimate(
            self.layers, x, self.objective(target), noise, context=self.context(images)
        )
        other = self.other_surrogate(step, noise)
        surrogate = estimate.surrogate if other is None else estimate.surrogate + other
        mean = estimate.value.mean(1)
        metrics = {"train_loss": mean, f"train_{self.loss}": mean, **self.evaluated(step)}
        if estimate.relaxed is not None:
            metrics["train_relaxed_loss"] = estimate.relaxed.mean(1)
        return Losses(surrogate, estimate.tuning_loss, metrics)

    def other_surrogate(self, step: int, noise: Noise) -> Float[Tensor, "R B"] | None:
        """Return losses of other parameters than those of `losses`, or None.

        Args:
            step: Index of the step.
            noise: Noise at that step.
        """
        return None

    def codes(self, x: Float[Tensor, "R B D"], target: Float[Tensor, "R B T"]) -> Codes:
        """Return the units that are drawn from some images."""
        return Paths(self.layers, x, self.objective(target))


class Paths(Codes):
    """Paths through the layers from some images.

    Args:
        layers: Layers from the image on.
        x: Encoded part of the images.
        objective: Loss of paths.
    """

    def __init__(
        self, layers: Sequence[Layer], x: Float[Tensor, "R B D"], objective: PathObjective
    ) -> None:
        self._layers, self._x, self._objective = layers, x, objective

    def mean_loss(self, noise: Noise, samples: int) -> Float[Tensor, "R B"]:
        """Return the loss of the images, averaged over paths."""
        total = torch.zeros_like(self._x[..., 0])
        for _ in range(samples):
            path = draw(self._layers, self._x, noise, 1).path
            total = total + self._objective(path)[0] / samples
        return total

    def losses(self, noise: Noise, used: int) -> Float[Tensor, "K R B"]:
        """Draw paths, and return the loss of the first of them."""
        states, logits = draw(self._layers, self._x, noise, BOUND_CODES).path
        return self._objective(
            Path(tuple(state[:used] for state in states), tuple(a[:used] for a in logits))
        )


def new_maps(
    widths: Iterable[tuple[int, int]], settings: BeliefSettings, init: Noise, device: torch.device
) -> list[Layer]:
    """Return new maps between two layers, or between a layer and pixels.

    Args:
        widths: Numbers of units before and after every map.
        settings: Settings of the task.
        init: Noise of the replicas for initialisation.
        device: Device of the parameters.
    """
    return [_new_map(*sizes, settings, init, device) for sizes in widths]


def _new_map(
    inputs: int, outputs: int, settings: BeliefSettings, init: Noise, device: torch.device
) -> Layer:
    initialisation, dtype = settings.initialisation, DTYPES[settings.dtype]
    if settings.conditional == "linear":
        weight, bias = initial(inputs, outputs, init, initialisation, dtype=dtype, device=device)
        return Dense(weight, bias.squeeze(1))
    net = MLP(
        [inputs, *settings.hidden, outputs],
        init,
        torch.tanh_,
        initialisation=initialisation,
        dtype=dtype,
        device=device,
    )
    return General(net, len(init.seeds or ()))


def last_bias(layer: Layer) -> Tensor:
    """Return the biases of a map's outputs, of a shape that broadcasts over outputs."""
    last = cast(MLP, layer.module).layers[-1] if isinstance(layer, General) else layer
    return last.get_parameter("bias")


def log_probability(
    states: Float[Tensor, "K R B units"], logits: Float[Tensor, "*K R #B units"]
) -> Float[Tensor, "K R B"]:
    """Return the log-probability of units, summed over a layer, in nats.

    It is extended to states between -1 and 1 linearly.

    Args:
        states: States of ±1, or between.
        logits: Pre-activations of the units.
    """
    return ((1 + states) / 2 * logits - functional.softplus(logits)).sum(-1)

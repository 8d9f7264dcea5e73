"""Generative model of images by layers of ±1 units, with an inference network."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.layered import Layer, Path, PathObjective
from raysweep.estimators.layered.rebar import LayeredREBAR
from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES, Metric, setting
from raysweep.tasks.images.bounds import cross_entropy
from raysweep.tasks.images.metrics import (
    BOUND_METRICS,
    FITTED_BOUND,
    GRADIENT_VARIANCE,
    RELAXED_LOSS,
)
from raysweep.tasks.images.model import CodesOf
from raysweep.tasks.sbn.base import BeliefTask
from raysweep.tasks.sbn.belief import BeliefNetwork, Paths, Widths, log_probability, new_maps
from raysweep.tasks.sbn.settings import BeliefSettings

FITTED = "test_neg_bound_fitted"
FITTED_TEMPERATURE = 0.1  # of REBAR; the paper's, where it is fixed


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerativeSettings(BeliefSettings):
    """Settings of `SbnGenerative`.

    Raises:
        ValueError: If a value is out of its range.
    """

    fit_test_inference: bool = setting(
        False,
        "also train a second inference network, on the test images, for the metric "
        "test_neg_bound_fitted; it does not affect the model",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_test_inference and self.batch_size > self.test_examples:
            raise ValueError(
                f"fit_test_inference needs a batch_size of at most {self.test_examples}, the test "
                f"images that are evaluated, got {self.batch_size}"
            )


class SbnGenerative(BeliefTask[GenerativeSettings]):
    """Minimisation of E_q[log q(b | x) - log p(x, b)], where b are the units of all layers.

    The inference network draws q(b1 | x) q(b2 | b1) ..., the model has p(bL) ... p(b1 | b2)
    p(x | b1), with a learned prior of independent units. Units are ±1; `latents` counts those of
    b1, b2, ... `train_neg_elbo` is at hard samples for every method, also for those that follow a
    relaxed network, whose loss is `train_relaxed_loss`. Learned baselines read the centred image.

    Departures from the paper's code: `gradient_variance` is of the inference network's weights,
    where that code averages over the model's, too. A second inference network for the test images
    (figure App.5) follows REBAR at a temperature of 0.1 for every method.

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370, section 5 and
        appendix G.
    """

    name: ClassVar[str] = "sbn_generative"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = GenerativeSettings
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {**BOUND_METRICS, **FITTED_BOUND, **RELAXED_LOSS, **GRADIENT_VARIANCE}
    )
    reads_last_layer: ClassVar[bool] = False

    def widths(self, settings: GenerativeSettings) -> Widths:
        """Return the widths of all maps; read no data."""
        maps = list(pairwise([data.get(settings.dataset).features, *settings.latents]))
        others = maps if settings.fit_test_inference else []
        return Widths(maps, [(after, before) for before, after in maps], others)

    def model(
        self, settings: GenerativeSettings, seeds: list[int], device: torch.device
    ) -> "GenerativeNetwork":
        """Build the networks, the prior and the images of replicas with these seeds."""
        return GenerativeNetwork(settings, self.widths(settings), seeds, device)


class GenerativeNetwork(BeliefNetwork):
    """Inference network, generative network, prior and images.

    Args:
        settings: Settings of the task.
        widths: Widths of all maps.
        seeds: Seed of each replica.
        device: Device of parameters and images.
    """

    prior: Float[Tensor, "R 1 L"]

    def __init__(
        self,
        settings: GenerativeSettings,
        widths: Widths,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        further = [FITTED] if settings.fit_test_inference else []
        super().__init__(
            settings, widths, seeds, device, loss="neg_elbo", encoded=None, further=further
        )
        shape = len(seeds), 1, settings.latents[-1]
        self.prior = nn.Parameter(torch.zeros(shape, dtype=DTYPES[settings.dtype], device=device))
        self._fits_test = settings.fit_test_inference
        if self._fits_test:
            init = Noise(seeds=list(seeds), purpose="init of the test images' inference")
            self.fitted = nn.ModuleList(new_maps(widths.fitted, settings, init, device))
            self.images.sample_test(seeds)

    def objective(self, target: Float[Tensor, "R B T"]) -> PathObjective:
        """Return the negative bound of paths: log q(b | x) - log p(x, b), at their states.

        Args:
            target: Images, not centred.
        """

        def loss(path: Path) -> Float[Tensor, "K R B"]:
            states, logits = path
            total = cross_entropy(self.onto_target(states[0]), target)
            total = total - log_probability(states[-1], self.prior)
            for layer, (below, above) in zip(self.generative[1:], pairwise(states), strict=True):
                total = total - log_probability(below, layer(above))
            for state, a in zip(states, logits, strict=True):
                total = total + log_probability(state, a)
            return total

        return loss

    def context(self, images: Float[Tensor, "R B D"]) -> Float[Tensor, "R B F"]:
        """Return the images, centred if so set."""
        x, _ = self.split(images)
        return x

    def other_surrogate(self, step: int, noise: Noise) -> Float[Tensor, "R B"] | None:
        """Return the negative bound of test images, for the network that is fitted to them.

        Args:
            step: Index of the step.
            noise: Noise at that step.
        """
        images = self.images.test_batch(step)
        if images is None:
            return None
        method = LayeredREBAR(
            temperature=FITTED_TEMPERATURE, learn_temperature=False, learn_eta=False,
            relaxation="muprop", passes="layers",
        )  # fmt: skip
        x, target = self.split(images)
        with _frozen([*self.generative.parameters(), self.prior]):
            return method.estimate(self._fitted_layers, x, self.objective(target), noise).surrogate

    def other_codes(self) -> Mapping[str, CodesOf]:
        """Return the codes of test images by the network that is fitted to them, if any."""
        if not self._fits_test:
            return {}
        return {FITTED: lambda x, target: Paths(self._fitted_layers, x, self.objective(target))}

    @property
    def _fitted_layers(self) -> list[Layer]:
        return [cast(Layer, layer) for layer in self.fitted]


@contextlib.contextmanager
def _frozen(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Leave parameters out of the graphs that are built inside."""
    listed = list(parameters)
    for parameter in listed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in listed:
            parameter.requires_grad_(True)

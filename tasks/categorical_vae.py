"""A variational autoencoder with categorical latent variables, on grey values."""

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from estimators.base import Estimator
from estimators.categorical import Link, draw_one_hot, probabilities, softmax_logits
from estimators.noise import Noise
from tasks import data
from tasks.base import DTYPES, Metric, Replica, TrainingSettings, setting
from tasks.gradient_training import GradientTraining, Losses, Model, training_bytes
from tasks.replicas.layers import MLP, select
from tasks.replicas.order import Order

EVALUATION_ROWS = 100  # examples at a time: bounds memory, and evaluation noise depends on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalVaeSettings(TrainingSettings):
    """Defaults follow Liu et al. (2023), arXiv:2304.08612, section 6.3, and their code.

    Raises:
        ValueError: If a value is out of its range.
    """

    dataset: Literal[
        "mnist", "fashion_mnist", "digits", "binarized_mnist", "omniglot", "omniglot_burda"
    ] = setting("mnist", "images to model")
    categories: int = setting(8, "values of each latent variable, C")
    latents: int = setting(4, "latent variables, L")
    hidden: tuple[int, ...] = setting(
        (512, 256), "widths of the encoder's hidden layers; the decoder mirrors them"
    )
    steps: int = setting(96_000, "parameter updates: 160 epochs of MNIST")
    evaluation_examples: int | None = setting(
        None, "test images that are evaluated, the first ones; all if not set"
    )
    evaluation_samples: int = setting(1, "codes drawn per test image")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.categories < 2:
            raise ValueError(f"categories must be at least 2, got {self.categories}")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden widths must be at least 1, got {self.hidden}")
        for name in ("latents", "evaluation_examples", "evaluation_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


class CategoricalVae:
    """Minimise E_q[-log p(x | D)] + KL(q(D | x) || uniform): the negative evidence lower bound.

    Targets are grey values, not binarised, as in the paper's code; the divergence is exact, where
    that code adds 1e-10 inside the logarithm. Nets start as torch's defaults.

    References:
        Liu et al. (2023), arXiv:2304.08612, sections 6.3 and F.
    """

    name: ClassVar[str] = "categorical_vae"
    version: ClassVar[int] = 1
    settings: ClassVar[type] = CategoricalVaeSettings
    metrics: ClassVar[Mapping[str, Metric]] = {
        "train_loss": Metric("min", "nats", "what training minimises: train_neg_elbo"),
        "train_neg_elbo": Metric("min", "nats", "negative bound per training image, one sample"),
        "test_neg_elbo": Metric("min", "nats", "negative bound per test image, sampled codes"),
    }
    family: ClassVar[str] = "categorical"

    def check(self, settings: CategoricalVaeSettings, estimator: Estimator) -> str | None:
        """Why this pair cannot run, or None. Reads no data."""
        examples = data.get(settings.dataset).train
        if settings.batch_size > examples:
            return (
                f"batch_size must be at most {examples}, the training images of "
                f"{settings.dataset}, got {settings.batch_size}"
            )
        return estimator.check(settings.latents, settings.categories)

    def replica_bytes(self, settings: CategoricalVaeSettings, estimator: Estimator) -> int:
        """Bytes of both nets, their optimizer's state and their layers' outputs. Reads no data."""
        encoder, decoder = _sizes(settings)
        parameters = sum((i + 1) * o for net in (encoder, decoder) for i, o in pairwise(net))
        evaluations = estimator.evaluations(settings.latents, settings.categories)
        outputs = settings.batch_size * (sum(encoder) + evaluations * sum(decoder))
        return training_bytes(parameters, outputs, settings)

    def start(
        self,
        settings: CategoricalVaeSettings,
        replicas: list[Replica],
        estimator: Estimator,
        device: torch.device,
    ) -> GradientTraining:
        """Builds the training of a pack at step 0."""
        seeds = [replica.seed for replica in replicas]
        model = CategoricalVaeModel(settings, seeds, device, estimator.link)
        estimator.build(
            settings.latents,
            settings.categories,
            context=data.get(settings.dataset).features,
            replicas=len(replicas),
        )
        estimator.to(device, DTYPES[settings.dtype])
        return GradientTraining(
            model, estimator, settings, replicas, default_window=model.order.steps_per_epoch
        )


class CategoricalVaeModel(Model):
    """Encoder D -> L*C, decoder L*C -> D, rectified linear units, and the images."""

    def __init__(
        self,
        settings: CategoricalVaeSettings,
        seeds: list[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        images = data.load(settings.dataset, device, dtype)
        init = Noise(seeds=seeds, purpose="init")
        encoder, decoder = _sizes(settings)
        self.encoder = MLP(encoder, init, dtype=dtype, device=device)
        self.decoder = MLP(decoder, init, dtype=dtype, device=device)
        self.order = Order(seeds, len(images.train), settings.batch_size, device)
        self._train = images.train
        self._test = images.test[: settings.evaluation_examples]
        self._test_samples = settings.evaluation_samples
        self._test_noise = Noise(seeds=seeds, purpose="evaluate")
        self._link = link
        self._code_shape = (settings.latents, settings.categories)

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """The bound with its reconstruction estimated and its divergence exact."""
        order = self.order.batch(step)
        x = self._train.index_select(0, order.flatten()).unflatten(0, order.shape)
        logits = self.encode(x)
        divergence = divergence_from_uniform(softmax_logits(logits, self._link))
        estimate = estimator.estimate(logits, partial(self.reconstruction, x), noise, context=x)
        neg_elbo = (estimate.value + divergence.detach()).mean(1)
        return Losses(
            surrogate=estimate.surrogate + divergence,
            tuning_loss=estimate.tuning_loss,
            metrics={"train_loss": neg_elbo, "train_neg_elbo": neg_elbo},
        )

    def encode(self, x: Float[Tensor, "R B D"]) -> Float[Tensor, "R B L C"]:
        """Logits of q(D | x), in the estimator's link."""
        return self.encoder(x).unflatten(-1, self._code_shape)

    def reconstruction(
        self, x: Float[Tensor, "R B D"], code: Float[Tensor, "K R B L C"]
    ) -> Float[Tensor, "K R B"]:
        """-log p(x | code): the cross entropy of grey values, summed over an image."""
        logits = self.decoder(code.flatten(-2))
        return functional.softplus(logits).sum(-1) - (logits * x).sum(-1)

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """The negative bound on the test images."""
        total = torch.zeros(self._replicas(), dtype=torch.float64, device=self._test.device)
        for number, rows in enumerate(self._test.split(EVALUATION_ROWS)):
            self._test_noise.at(number)
            total += self._test_losses(rows).sum(1, dtype=torch.float64)
        return {"test_neg_elbo": total / len(self._test)}

    def _test_losses(self, rows: Float[Tensor, "B D"]) -> Float[Tensor, "R B"]:
        """The negative bound of some test images, averaged over codes."""
        x = rows.expand(self._replicas(), -1, -1)
        logits = softmax_logits(self.encode(x), self._link)
        total = divergence_from_uniform(logits)
        p = probabilities(logits)
        for _ in range(self._test_samples):
            code = draw_one_hot(p, logits, self._test_noise, samples=1)
            total = total + self.reconstruction(x, code)[0] / self._test_samples
        return total

    def _replicas(self) -> int:
        return len(next(self.parameters()))

    def select(self, keep: Tensor) -> None:
        """Drops replicas."""
        select(self, keep)
        self.order.select(keep)
        self._test_noise.select(keep)


def divergence_from_uniform(logits: Float[Tensor, "*B L C"]) -> Float[Tensor, "*B"]:
    """KL(q || uniform), in nats, of independent categorical variables with these logits."""
    latents, categories = logits.shape[-2:]
    log_q = logits.log_softmax(-1)
    return (log_q.exp() * log_q).sum((-1, -2)) + latents * math.log(categories)


def _sizes(settings: CategoricalVaeSettings) -> tuple[list[int], list[int]]:
    """Layer widths of the encoder and of the decoder."""
    features = data.get(settings.dataset).features
    codes = settings.latents * settings.categories
    encoder = [features, *settings.hidden, codes]
    return encoder, encoder[::-1]

"""Encoder, discrete code and decoder: the training loss and the metrics."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link, draw_one_hot, probabilities, softmax_logits
from raysweep.estimators.estimate import Objective
from raysweep.estimators.method import Target
from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.images.bounds import BOUND_CODES, Codes, cross_entropy
from raysweep.tasks.images.model import ImageModel
from raysweep.tasks.images.variance import GradientVariance
from raysweep.tasks.training.layers import MLP
from raysweep.tasks.training.loop import Losses
from raysweep.tasks.vae.codes import Code
from raysweep.tasks.vae.priors import Prior
from raysweep.tasks.vae.settings import EncoderDecoderSettings, VaeSettings


@dataclasses.dataclass(frozen=True)
class Design:
    """Parts that differ between tasks with codes.

    Args:
        code: Code between the nets.
        prior: Prior of the codes; if None, codes are drawn given the input and the loss is the
            reconstruction's alone.
        loss: Name of the minimised loss in metrics.
        encoded: Number of pixels that are encoded, the first ones; the others are decoded. If
            None, all are encoded and all are decoded.
    """

    code: Code
    prior: Prior | None = None
    loss: str = "neg_elbo"
    encoded: int | None = None

    def widths(self, settings: EncoderDecoderSettings) -> tuple[list[int], list[int]]:
        """Return the layer widths of the encoder and of the decoder."""
        pixels = data.get(settings.dataset).features
        encoded = pixels if self.encoded is None else self.encoded
        decoded = pixels if self.encoded is None else pixels - self.encoded
        encoder = [encoded, *settings.hidden, self.code.outputs]
        return encoder, [self.code.inputs, *settings.hidden[::-1], decoded]


class Terms(NamedTuple):
    """Terms of a loss: `E[objective(D)] + direct`.

    Args:
        logits: Logits of q(D | x), `R B L C`.
        objective: Objective whose expectation is estimated.
        of_code: Part of the objective that compares the code with the prior.
        direct: Part of the loss that is known exactly, `R B`, or None.
    """

    logits: Float[Tensor, "R B L C"]
    objective: Objective
    of_code: Callable[[Tensor], Tensor | float]
    direct: Float[Tensor, "R B"] | None


class EncoderDecoder(ImageModel):
    """Model of nets, prior and images.

    Args:
        settings: Settings of the task.
        design: Design of the task.
        seeds: Seed of each replica.
        device: Device of parameters and images.
        link: Link by which the estimator turns logits into probabilities.
    """

    def __init__(
        self,
        settings: EncoderDecoderSettings,
        design: Design,
        seeds: Sequence[int],
        device: torch.device,
        link: Link = "softmax",
    ) -> None:
        super().__init__(
            settings,
            seeds,
            device,
            loss=design.loss,
            encoded=design.encoded,
            further=["active_units"],
        )
        self._settings, self.link = settings, link
        self.code, self.prior = design.code, design.prior
        encoder, decoder = design.widths(settings)
        init = Noise(seeds=list(seeds), purpose="init")
        self.encoder, self.decoder = (
            MLP(
                widths,
                init,
                _activation(settings),
                initialisation=settings.initialisation,
                dtype=DTYPES[settings.dtype],
                device=device,
            )
            for widths in (encoder, decoder)
        )
        if settings.output_bias_from_data:
            self.decoder.layers[-1].get_parameter("bias").data.copy_(self.target_odds())
        if settings.gradient_variance:
            self.observer = GradientVariance(dict(self.encoder.named_parameters("encoder")))
        if isinstance(settings, VaeSettings) and settings.prior_lr is not None:
            self.rates = {"prior.logits": "prior_lr"}

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return the loss; its reconstruction is estimated, and a sampled divergence too.

        Where a bound is estimated, it is `train_loss`, and the mean loss of its samples is reported
        beside it.
        """
        x, target = self.split(self.images.batch(step))
        terms = self.terms(x, target, estimator.target)
        of_samples: list[Tensor] = []

        def recorded(code: Float[Tensor, "K R B L C"]) -> Float[Tensor, "K R B"]:
            of_samples.append(terms.objective(code))
            return of_samples[0]

        objective = terms.objective if estimator.target == "mean" else recorded
        estimate = estimator.estimate(terms.logits, objective, noise, context=x)
        loss, surrogate = estimate.value, estimate.surrogate
        if terms.direct is not None:
            loss, surrogate = loss + terms.direct.detach(), surrogate + terms.direct
        mean = loss.mean(1)
        of_one = of_samples[0].detach().mean((0, 2)) if of_samples else mean
        if self.prior is None:
            # NaN logits still give samples: adding 0 times the logits makes a diverged loss NaN
            undefined = terms.logits.detach().sum((1, 2, 3))
            mean, of_one = (torch.add(one, undefined, alpha=0) for one in (mean, of_one))
        metrics = {"train_loss": mean, f"train_{self.loss}": of_one, **self.evaluated(step)}
        return Losses(surrogate, estimate.tuning_loss, metrics)

    def terms(
        self, x: Float[Tensor, "R B D"], target: Float[Tensor, "R B T"], estimated: Target = "mean"
    ) -> Terms:
        """Split the loss of some images into an estimated and an exact part.

        Args:
            x: Encoded part of the images.
            target: Target of the decoder.
            estimated: Target of the estimator, the mean of the objective or a bound.
        """
        logits = self.encode(x)
        reconstruction = partial(self.reconstruction, target)
        if self.prior is None:
            return Terms(logits, reconstruction, _zero, None)
        log_q = softmax_logits(logits, self.link).log_softmax(-1)
        settings = self._settings
        if isinstance(settings, VaeSettings) and settings.divergence == "sampled":
            if estimated == "mean":  # the expectation of the derivative of log q is zero
                log_q = log_q.detach()
            of_code = partial(self.log_ratio, log_q)
            return Terms(logits, lambda code: reconstruction(code) + of_code(code), of_code, None)
        return Terms(logits, reconstruction, _zero, self.prior.divergence(log_q))

    def log_ratio(
        self, log_q: Float[Tensor, "R B L C"], code: Float[Tensor, "*K #R #B L C"]
    ) -> Tensor | float:
        """Return a code's log q(D | x) - log p(D); 0 without a prior, as the two are then equal."""
        if self.prior is None:
            return 0.0
        return (code * log_q).sum((-1, -2)) + self.prior.cross_entropy(code)

    def encode(self, x: Float[Tensor, "R B D"]) -> Float[Tensor, "R B L C"]:
        """Return the logits of q(D | x), in the estimator's link."""
        return self.code.logits(self.encoder(x))

    def reconstruction(
        self, x: Float[Tensor, "R B D"], code: Float[Tensor, "K R B L C"]
    ) -> Float[Tensor, "K R B"]:
        """Return -log p(x | code): the cross entropy of grey or binary values, over all pixels."""
        return cross_entropy(self.decoder(self.code.features(code)), x)

    def codes(self, x: Float[Tensor, "R B D"], target: Float[Tensor, "R B T"]) -> Codes:
        """Return the codes of some images."""
        return _EncodedCodes(self, softmax_logits(self.encode(x), self.link), target)


class _EncodedCodes(Codes):
    """Codes of images that an encoder has read.

    Args:
        model: Model of the encoder.
        logits: Logits of the codes, of a softmax.
        target: Target of the decoder.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        logits: Float[Tensor, "R B L C"],
        target: Float[Tensor, "R B T"],
    ) -> None:
        self._model, self._logits, self._target = model, logits, target
        self._p, self._log_q = probabilities(logits), logits.log_softmax(-1)

    def moments(self) -> Float[Tensor, "2 R L C"]:
        """Return sums over the images of probabilities and of their squares."""
        return torch.stack((self._p.double().sum(1), self._p.double().square().sum(1)))

    def mean_loss(self, noise: Noise, samples: int) -> Float[Tensor, "R B"]:
        """Return the loss of the images, averaged over codes; its divergence is exact."""
        total = torch.zeros_like(self._target[..., 0])
        if self._model.prior is not None:
            total = self._model.prior.divergence(self._log_q)
        for _ in range(samples):
            code = draw_one_hot(self._p, self._logits, noise, samples=1)
            total = total + self._model.reconstruction(self._target, code)[0] / samples
        return total

    def losses(self, noise: Noise, used: int) -> Float[Tensor, "K R B"]:
        """Draw codes, and return -log p(x, D) / q(D | x) of the first of them."""
        code = draw_one_hot(self._p, self._logits, noise, samples=BOUND_CODES)[:used]
        ratio = self._model.log_ratio(self._log_q, code)
        return self._model.reconstruction(self._target, code) + ratio


def _zero(code: Tensor) -> float:
    return 0.0


def _activation(settings: EncoderDecoderSettings) -> Callable[[Tensor], Tensor]:
    """Return the activation, elementwise and in place, as autograd needs its output alone."""
    if settings.activation == "leaky_relu":
        return partial(functional.leaky_relu_, negative_slope=settings.slope)
    return {"relu": torch.relu_, "tanh": torch.tanh_}[settings.activation]

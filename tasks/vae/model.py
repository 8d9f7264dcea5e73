"""Encoder, discrete code and decoder: the training loss and the metrics."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import Link, draw_one_hot, probabilities, softmax_logits
from raysweep.estimators.estimate import Objective
from raysweep.estimators.noise import Noise
from raysweep.tasks import data
from raysweep.tasks.base import DTYPES
from raysweep.tasks.training.evaluation import LastEvaluation
from raysweep.tasks.training.layers import MLP, select
from raysweep.tasks.training.loop import Losses, Model
from raysweep.tasks.vae.codes import Code
from raysweep.tasks.vae.images import Images
from raysweep.tasks.vae.priors import Prior
from raysweep.tasks.vae.settings import EncoderDecoderSettings, VaeSettings
from raysweep.tasks.vae.variance import GradientVariance

EVALUATION_ROWS = 100  # examples at a time: bounds memory, and evaluation noise depends on it
BOUND_CODES = 5  # codes at a time in the multi-sample bound, for the same reasons
ACTIVE = 0.01  # variance above which a latent variable is active: Burda et al. (2015), section 5
LEAST, MOST = 1e-3, 1 - 1e-3  # mean grey values are clamped before they become log-odds


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


class EncoderDecoder(Model):
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
        super().__init__()
        self._settings, self._design, self.link = settings, design, link
        self.code, self.prior = design.code, design.prior
        self.images = Images(settings, seeds, device)
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
        self.center: Tensor | None = None
        self._initialise_from_data()
        if settings.gradient_variance:
            self.observer = GradientVariance(dict(self.encoder.named_parameters("encoder")))
        if isinstance(settings, VaeSettings) and settings.prior_lr is not None:
            self.rates = {"prior.logits": "prior_lr"}
        self._latest: LastEvaluation | None = None
        self._noises = {
            purpose: Noise(seeds=list(seeds), purpose=purpose)
            for purpose in ("evaluate", "evaluate valid", "bound", "bound valid")
        }
        if settings.evaluate_every is not None:
            parts = ["valid", "test"] if len(self.images.valid) else ["test"]
            names = [f"{part}_{name}" for part in parts for name in (design.loss, "neg_bound")]
            self._latest = LastEvaluation([*names, "active_units"], len(seeds), device)

    def _initialise_from_data(self) -> None:
        """Set the input's centre and the output's bias from the mean training image."""
        settings = self._settings
        if not (settings.center_input or settings.output_bias_from_data):
            return
        inputs, targets = self._split(self.images.mean())
        if settings.center_input:
            self.center = inputs
        if settings.output_bias_from_data:
            odds = targets.clamp(LEAST, MOST).logit()
            self.decoder.layers[-1].get_parameter("bias").data.copy_(odds)

    def losses(self, step: int, estimator: Estimator, noise: Noise) -> Losses:
        """Return the loss; its reconstruction is estimated, and a sampled divergence too."""
        x, target = self.split(self.images.batch(step))
        terms = self.terms(x, target)
        estimate = estimator.estimate(terms.logits, terms.objective, noise, context=x)
        loss, surrogate = estimate.value, estimate.surrogate
        if terms.direct is not None:
            loss, surrogate = loss + terms.direct.detach(), surrogate + terms.direct
        mean = loss.mean(1)
        if self.prior is None:
            # NaN logits still give samples: adding 0 times the logits makes a diverged loss NaN
            mean = torch.add(mean, terms.logits.detach().sum((1, 2, 3)), alpha=0)
        metrics = {"train_loss": mean, f"train_{self._design.loss}": mean, **self._evaluated(step)}
        return Losses(surrogate, estimate.tuning_loss, metrics)

    def _evaluated(self, step: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the last evaluation, made at the first step of an interval."""
        if self._latest is None or self._settings.evaluate_every is None:
            return {}
        if step % self._settings.evaluate_every == 0:
            with torch.no_grad():
                self._latest.hold(self.evaluate())
        return self._latest.metrics()

    def terms(self, x: Float[Tensor, "R B D"], target: Float[Tensor, "R B T"]) -> Terms:
        """Split the loss of some images into an estimated and an exact part."""
        logits = self.encode(x)
        reconstruction = partial(self.reconstruction, target)
        if self.prior is None:
            return Terms(logits, reconstruction, _zero, None)
        log_q = softmax_logits(logits, self.link).log_softmax(-1)
        settings = self._settings
        if isinstance(settings, VaeSettings) and settings.divergence == "sampled":
            # detached, as the expectation of the derivative of log q is zero
            of_code = partial(self._log_ratio, log_q.detach())
            return Terms(logits, lambda code: reconstruction(code) + of_code(code), of_code, None)
        return Terms(logits, reconstruction, _zero, self.prior.divergence(log_q))

    def _log_ratio(
        self, log_q: Float[Tensor, "R B L C"], code: Float[Tensor, "*K #R #B L C"]
    ) -> Tensor | float:
        """Return a code's log q(D | x) - log p(D); 0 without a prior, as the two are then equal."""
        if self.prior is None:
            return 0.0
        return (code * log_q).sum((-1, -2)) + self.prior.cross_entropy(code)

    def split(self, x: Float[Tensor, "R B D"]) -> tuple[Tensor, Tensor]:
        """Return the encoder's input, centred if so set, and the decoder's target."""
        encoded, decoded = self._split(x)
        return encoded if self.center is None else encoded - self.center, decoded

    def _split(self, x: Float[Tensor, "*B D"]) -> tuple[Tensor, Tensor]:
        return x[..., : self._design.encoded], x[..., self._design.encoded or 0 :]

    def encode(self, x: Float[Tensor, "R B D"]) -> Float[Tensor, "R B L C"]:
        """Return the logits of q(D | x), in the estimator's link."""
        return self.code.logits(self.encoder(x))

    def reconstruction(
        self, x: Float[Tensor, "R B D"], code: Float[Tensor, "K R B L C"]
    ) -> Float[Tensor, "K R B"]:
        """Return -log p(x | code): the cross entropy of grey or binary values, over all pixels."""
        logits = self.decoder(self.code.features(code))
        return functional.softplus(logits).sum(-1) - (logits * x).sum(-1)

    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return bounds of the test images, and of the validation images if there are any."""
        metrics = {}
        for part, suffix in (("valid", " valid"), ("test", "")):
            images = getattr(self.images, part)
            if len(images) > 0:
                evaluation = self._evaluate(images, suffix)
                active = evaluation.pop("active_units")
                metrics.update({f"{part}_{name}": value for name, value in evaluation.items()})
        return {**metrics, "active_units": active}

    def _evaluate(
        self, images: Float[Tensor, "M D"], suffix: str
    ) -> dict[str, Float[Tensor, " R"]]:
        """Return means over some images, in parts; the noise of a part is at its index."""
        totals = torch.zeros(2, self._replicas(), dtype=torch.float64, device=images.device)
        sizes = self._replicas(), self.code.latents, self.code.categories
        moments = torch.zeros(2, *sizes, dtype=torch.float64, device=images.device)
        for index, rows in enumerate(images.split(EVALUATION_ROWS)):
            x, target = self.split(rows.expand(self._replicas(), -1, -1))
            logits = softmax_logits(self.encode(x), self.link)
            p = probabilities(logits)
            moments += torch.stack((p.double().sum(1), p.double().square().sum(1)))
            one = self._one_sample(target, logits, p, self._noises["evaluate" + suffix], index)
            many = self._many_samples(target, logits, p, self._noises["bound" + suffix], index)
            totals += torch.stack((one.sum(1, dtype=torch.float64), many.sum(1)))
        mean, square = moments / len(images)
        spread = square - mean.square()
        variance = spread.sum(-1) / 2  # for two categories, that of the bit
        active = torch.where(variance.isnan(), variance, (variance > ACTIVE).double())
        loss, bound = totals / len(images)
        return {self._design.loss: loss, "neg_bound": bound, "active_units": active.sum(-1)}

    def _one_sample(
        self,
        target: Float[Tensor, "R B D"],
        logits: Float[Tensor, "R B L C"],
        p: Float[Tensor, "R B L C"],
        noise: Noise,
        index: int,
    ) -> Float[Tensor, "R B"]:
        """Return the loss of some images, averaged over codes; its divergence is exact."""
        noise.at(index)
        samples = self._settings.evaluation_samples
        total = torch.zeros_like(target[..., 0])
        if self.prior is not None:
            total = self.prior.divergence(logits.log_softmax(-1))
        for _ in range(samples):
            code = draw_one_hot(p, logits, noise, samples=1)
            total = total + self.reconstruction(target, code)[0] / samples
        return total

    def _many_samples(
        self,
        target: Float[Tensor, "R B D"],
        logits: Float[Tensor, "R B L C"],
        p: Float[Tensor, "R B L C"],
        noise: Noise,
        index: int,
    ) -> Float[Tensor, "R B"]:
        """Return -log of the mean importance weight p(x, D) / q(D | x), in float64.

        Codes are drawn a few at a time, so that memory does not grow with their number.

        References:
            Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519, equation 8.
        """
        log_q = logits.log_softmax(-1)
        samples = self._settings.bound_samples
        parts = math.ceil(samples / BOUND_CODES)
        total = torch.full(target.shape[:2], -torch.inf, dtype=torch.float64, device=target.device)
        for part in range(parts):
            noise.at(index * parts + part)
            # always the same number of draws, as fewer would repeat numbers of an earlier part
            code = draw_one_hot(p, logits, noise, samples=BOUND_CODES)
            code = code[: samples - part * BOUND_CODES]
            loss = self.reconstruction(target, code) + self._log_ratio(log_q, code)
            total = torch.logaddexp(total, (-loss.double()).logsumexp(0))
        return math.log(samples) - total

    def _replicas(self) -> int:
        return len(next(self.encoder.parameters()))

    def select(self, keep: Tensor) -> None:
        """Drop replicas."""
        select(self, keep)
        self.images.select(keep)
        for noise in self._noises.values():
            noise.select(keep)


def _zero(code: Tensor) -> float:
    return 0.0


def _activation(settings: EncoderDecoderSettings) -> Callable[[Tensor], Tensor]:
    """Return the activation, elementwise and in place, as autograd needs its output alone."""
    if settings.activation == "leaky_relu":
        return partial(functional.leaky_relu_, negative_slope=settings.slope)
    return {"relu": torch.relu_, "tanh": torch.tanh_}[settings.activation]

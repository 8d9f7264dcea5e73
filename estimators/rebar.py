"""REBAR, and its base class with RELAX: control variates at relaxed samples."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator, Sizes
from raysweep.estimators.carrying import is_traced, values_and_slopes
from raysweep.estimators.categorical import Link, compact
from raysweep.estimators.control import RelaxedControlSettings
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    differentiate,
    estimate_from_gradient,
    evaluate,
    flag,
    mean_over_samples,
)
from raysweep.estimators.learned import DetachedCopy, Scalar, per_example, reach_only
from raysweep.estimators.noise import Noise
from raysweep.estimators.relaxation import Categorical, Draw, Logistic, Probit, Relaxation


class Correction(NamedTuple):
    """A learned control variate r: its values `S *B` and their gradients to z, `S *B L W`."""

    value: Tensor
    slope: Tensor


class RelaxedControl(RelaxedControlSettings[Sizes], Estimator):
    """The score function with a control variate c(z) at relaxed samples.

    With D a hard function of z, and z~ drawn again given D, the gradient is
    `(f(D) - c(z~)) score + d c(z) - d c(z~)`, derivatives with respect to the logits.

    Attributes:
        coupled: Whether z~ has z's value.
    """

    def __init__(
        self,
        *,
        temperature: float | Tensor,
        eta: float | Tensor,
        learn_temperature: bool,
        learn_eta: bool,
        coupled: bool,
        samples: int,
    ) -> None:
        super().__init__(
            temperature=temperature,
            eta=eta,
            learn_temperature=learn_temperature,
            learn_eta=learn_eta,
            samples=samples,
        )
        self.coupled = flag("coupled", coupled)
        self.learned_eta: Scalar | None = None
        # whether the objective is relaxed; if not, it may be any function
        self.relaxes = self.learn_eta or isinstance(self.eta, Tensor) or self.eta != 0
        self.needs_gradient = self.relaxes

    def _eta_refusal(self) -> str | None:
        if self.relaxes:
            return None
        return "eta 0 leaves the relaxed samples out, and cannot change; give another first value"

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: per sample, one hard and one relaxed (two if not coupled)."""
        return self.samples * (1 if not self.relaxes else 2 if self.coupled else 3)

    def _relaxation(self, logits: Float[Tensor, "*b L C"]) -> Relaxation:
        """Return the distribution of z for these logits."""
        return Logistic(logits) if logits.shape[-1] == 2 else Categorical(logits)

    def _shift(self, temperature: float | Tensor) -> float | Tensor | None:
        """Return the weight of the location that is added to z/temperature before softening."""
        return None

    def _correction(
        self, z: Float[Tensor, "S *B L W"], context: Float[Tensor, "*B F"] | None
    ) -> Correction | None:
        """Return the control variate's part that is no relaxed objective, or None."""
        return None

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        if self.relaxes:
            self._build_temperature(replicas)
        if self.learn_eta:
            self.learned_eta = Scalar(self.eta, replicas, "eta")

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        relaxation = self._relaxation(compact(logits))
        draw = relaxation.draw(noise, logits, self.samples, coupled=self.coupled)
        z = draw.z if self.coupled else torch.cat((draw.z, draw.conditional))
        if not self.relaxes:
            losses = evaluate(objective, draw.one_hot)
            with torch.enable_grad():
                gradient = _combined(
                    relaxation, draw, (losses.detach(), None), self._correction(z, context)
                )
                tuning_loss = self._tuning_loss(gradient, None)
            return estimate_from_gradient(logits, gradient, losses, draw.one_hot[0], tuning_loss)
        with torch.enable_grad():
            temperature = self._value("temperature", self.learned_temperature, logits)
            shift = self._shift(temperature)
            scaled = z / temperature
            if shift is not None:
                scaled = scaled + shift * relaxation.location
            soft = relaxation.soften(scaled)
            losses, at_soft, leaf = self._losses(objective, draw.one_hot, soft)
            relaxed = losses[self.samples :]
            relaxed = relaxed if self.learn_temperature else relaxed.detach()
            gradient = self._gradient(
                logits,
                relaxation,
                draw,
                (losses[: self.samples].detach(), relaxed, relaxation.to_z(leaf, at_soft)),
                (1 / temperature, shift),
                self._correction(z, context),
            )
            tuning_loss = self._tuning_loss(gradient, DetachedCopy(leaf, soft))
        return estimate_from_gradient(
            logits, gradient, losses[: self.samples], draw.one_hot[0], tuning_loss
        )

    def _losses(
        self,
        objective: Objective,
        one_hot: Float[Tensor, "K *B L C"],
        soft: Float[Tensor, "S *B L C"],
    ) -> tuple[Float[Tensor, " _ *B"], Float[Tensor, "S *B L C"], Float[Tensor, "S *B L C"]]:
        """Return the losses at hard and soft samples, slopes at the soft ones, and their copy."""
        if is_traced():
            leaf = soft.detach()
            weight = torch.cat((torch.zeros_like(one_hot), torch.ones_like(leaf)))[..., 0, 0]
            losses, slopes = values_and_slopes(
                lambda x: evaluate(objective, torch.cat((one_hot, x))), leaf, weight
            )
            return losses, slopes.detach(), leaf
        leaf = soft.detach().requires_grad_()
        losses = evaluate(objective, torch.cat((one_hot, leaf)))
        at_soft = differentiate(
            losses[self.samples :], leaf, self.name, differentiable=self.learn_temperature
        )
        return losses, at_soft, leaf

    def _gradient(
        self,
        logits: Float[Tensor, "*B L C"],
        relaxation: Relaxation,
        draw: Draw,
        objective: tuple[Tensor, Tensor, Tensor],
        scales: tuple[float | Tensor, float | Tensor | None],
        correction: Correction | None,
    ) -> Float[Tensor, "*B L C"]:
        """Return the estimate's gradient, with its graph to the learned parts.

        Args:
            logits: The logits, for their shape.
            relaxation: The distribution of z.
            draw: K samples of z.
            objective: Hard losses `K *B`; losses and gradients at the softened z, then z~.
            scales: Derivatives of what is softened, with respect to z and, if it is added, to the
                location.
            correction: The learned control variate at z, then z~.
        """
        hard, relaxed, to_z = objective
        by_z, by_location = scales
        first, last = slice(None, self.samples), slice(-self.samples, None)
        eta = self._value("eta", self.learned_eta, logits)
        signal = hard - per_example(eta) * relaxed[last]
        if by_location is None:
            inner = (eta * by_z) * (to_z[first] - draw.slope * to_z[last])
        else:
            inner = eta * (
                (by_z + by_location) * to_z[first] - (draw.slope * by_z + by_location) * to_z[last]
            )
        return _combined(relaxation, draw, (signal, inner), correction)

    def _tuning_loss(
        self, gradient: Float[Tensor, "*B L C"], copy: DetachedCopy | None
    ) -> Float[Tensor, "*B"] | None:
        parameters = list(self.parameters())
        if not parameters or is_traced():  # transformed functions learn by other means
            return None
        return reach_only(parameters, gradient.square().sum((-2, -1)), copy)


def _combined(
    relaxation: Relaxation,
    draw: Draw,
    parts: tuple[Float[Tensor, " K *B"], Float[Tensor, "K *B L W"] | None],
    correction: Correction | None,
) -> Float[Tensor, "*B L C"]:
    """Return the mean over samples of signals times scores, plus derivatives through z.

    Args:
        relaxation: The distribution of z.
        draw: K samples of z.
        parts: Signals, and the derivatives to the location, without the learned part.
        correction: The learned control variate at z, then z~.
    """
    signal, inner = parts
    if correction is not None:
        first, last = slice(None, len(signal)), slice(-len(signal), None)
        signal = signal - correction.value[last]
        learned = correction.slope[first] - draw.slope * correction.slope[last]
        inner = learned if inner is None else inner + learned
    by_sample = signal[..., None, None] * relaxation.score(draw.one_hot)
    if inner is not None:
        by_sample = by_sample + relaxation.to_logits(inner)
    return mean_over_samples(by_sample)


class REBAR(RelaxedControl):
    """The score function with the objective at relaxed samples as control variate.

    Unbiased, for any temperature and weight. Per sample, one evaluation of the objective at the
    hard sample and one at each of two relaxed ones, with gradients there; coupled noise makes the
    relaxed ones coincide. With c = eta f(softmax(z / lambda)), the gradient is
    `(f(D) - c(z~)) score + d c(z) - d c(z~)`. Weight and temperature are learned, to reduce the
    squared gradient; a learned temperature needs an objective that torch differentiates twice
    correctly, which cannot be checked.

    Args:
        temperature: lambda, its initial value if learned; > 0, dimensionless.
        eta: Weight of the control variate, its initial value if learned, then in (0, 2). With 0,
            not learned, it is `reinforce`.
        learn_temperature: Whether the temperature is learned.
        learn_eta: Whether the weight is learned.
        coupled: Whether the redrawn noise takes the value it had (appendix G.2), which
            saves an evaluation of three. In small problems it also had less variance: 0.81, 0.89
            and 0.98 of the uncoupled form's, for 2 latents of 2 and of 3 categories and 4 of 3.
        relaxation: "concrete", or "muprop" for equation 7 of the appendix, which tends to
            `muprop(linear=False)` as the temperature grows: z/lambda plus lambda/(lambda+1) times
            the log-probabilities.
        link: "softmax", or "probit" for C = 2 with P(class 1) = Phi(theta_1 - theta_0).
        samples: Independent draws that the estimate averages over.

    Raises:
        ValueError: If a setting is out of range, or `relaxation` is "muprop" with the probit link.

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370, equations 6 and 7,
        appendices C and G.
    """

    name = "rebar"
    reference = "Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), arXiv:1703.07370"

    def __init__(  # noqa: PLR0913 - settings, given by name
        self,
        *,
        temperature: float | Tensor = 0.5,
        eta: float | Tensor = 1.0,
        learn_temperature: bool = True,
        learn_eta: bool = True,
        coupled: bool = True,
        relaxation: Literal["concrete", "muprop"] = "concrete",
        link: Link = "softmax",
        samples: int = 1,
    ) -> None:
        super().__init__(
            temperature=temperature,
            eta=eta,
            learn_temperature=learn_temperature,
            learn_eta=learn_eta,
            coupled=coupled,
            samples=samples,
        )
        if relaxation not in ("concrete", "muprop"):
            raise ValueError(f"relaxation must be 'concrete' or 'muprop', got {relaxation!r}")
        if link not in ("softmax", "probit"):
            raise ValueError(f"link must be 'softmax' or 'probit', got {link!r}")
        if link == "probit" and relaxation == "muprop":
            raise ValueError("relaxation 'muprop' needs the softmax link, got link='probit'")
        self.relaxation, self.link = relaxation, link

    def _check(self, latents: int, categories: int) -> str | None:
        if self.link == "probit" and categories != 2:
            return f"the probit link needs 2 categories, got {categories}; use link 'softmax'"
        return None

    def _relaxation(self, logits: Float[Tensor, "*b L C"]) -> Relaxation:
        return Probit(logits) if self.link == "probit" else super()._relaxation(logits)

    def _shift(self, temperature: float | Tensor) -> float | Tensor | None:
        return None if self.relaxation == "concrete" else temperature / (temperature + 1)

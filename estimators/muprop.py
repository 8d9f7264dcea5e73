"""MuProp: a first-order Taylor expansion of the objective as control variate."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator, Sizes
from raysweep.estimators.categorical import (
    draw_one_hot,
    jacobian_product,
    sampling_probabilities,
)
from raysweep.estimators.control import ExpansionSettings
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    evaluate_and_differentiate,
    mean_over_samples,
)
from raysweep.estimators.learned import Scalar, per_example
from raysweep.estimators.noise import Noise


class MuProp(ExpansionSettings[Sizes], Estimator):
    """The score function with a first-order expansion around the mean as control variate.

    Unbiased for any weights. One evaluation of the objective per sample and one at the mean-field
    point pi, with its gradient g there:
    `(f(D) - eta_0 f(pi) - eta_1 <g, D - pi> - b(x)) (D - pi) + eta_1 J(pi) g`. Both weights are
    learned, to reduce the squared gradient, each in (0, 2). Without the linear part it is the
    SimpleMuProp of Tucker et al., and needs no gradient.

    Args:
        samples: Independent samples that the estimate averages over.
        constant: Whether to use the value at the mean-field point.
        linear: Whether to use the gradient at the mean-field point.
        eta: Weight of both parts, its initial value if learned, then in (0, 2).
        learn_eta: Whether the weights are learned.
        baseline: Whether to subtract a network's prediction from the context, as in `nvil`, too.
        hidden: Number of units of the baseline network.

    Raises:
        ValueError: If both parts are off, `eta` is out of range, or `samples` or `hidden` is not
            at least 1.

    References:
        Gu, Levine, Sutskever, Mnih (2016), arXiv:1511.05176; weights and the form without linear
        part as in Tucker et al. (2017), arXiv:1703.07370.
    """

    name = "muprop"
    reference = "Gu, Levine, Sutskever, Mnih (2016), arXiv:1511.05176"
    linear_weight: Scalar | None

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: one per sample, and one at the mean-field point."""
        return self.samples + 1

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        self._build_parts(context, replicas, lambda: Scalar(self.eta, replicas, "eta"))

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        p = sampling_probabilities(logits)
        one_hot = draw_one_hot(p, logits, noise, self.samples)
        points = torch.cat((one_hot, p.expand(logits.shape).unsqueeze(0)))
        if self.linear:
            losses, gradient = evaluate_and_differentiate(objective, points, self.name)
            slope = gradient[-1]
        else:
            losses, slope = evaluate(objective, points), torch.zeros_like(p)
        with torch.enable_grad():
            gradient, tuning_loss = self._combine(
                logits, one_hot - p, p, (losses.detach(), slope), context
            )
        return estimate_from_gradient(logits, gradient, losses[:-1], one_hot[0], tuning_loss)

    def _combine(
        self,
        logits: Float[Tensor, "*B L C"],
        score: Float[Tensor, "K *B L C"],
        p: Float[Tensor, "*b L C"],
        at_points: tuple[Float[Tensor, " K+1 *B"], Float[Tensor, "... L C"]],
        context: Float[Tensor, "*B F"] | None,
    ) -> tuple[Float[Tensor, "*B L C"], Float[Tensor, "*B"] | None]:
        """Return the gradient, and the loss of the learned parts.

        Args:
            logits: The logits, for their shape and dtype.
            score: Score function at the samples.
            p: Probabilities of the categories.
            at_points: Losses at the samples and at p, and the gradient at p.
            context: Input of the baseline network.
        """
        losses, slope = at_points
        signal, exact = losses[:-1], None
        if self.constant:
            weight = self._value("eta", self.constant_weight, logits)
            signal = signal - per_example(weight) * losses[-1]
        if self.linear:
            weight = self._value("eta", self.linear_weight, logits)
            signal = signal - per_example(weight) * (slope * score).sum((-2, -1))
            exact = jacobian_product([(weight, p)], slope)
        tuning_losses = []
        if self.baseline is not None and context is not None:
            prediction = self.baseline(context)  # of the part that the expansion leaves
            tuning_losses.append(mean_over_samples((signal.detach() - prediction).square()))
            signal = signal - prediction.detach()
        gradient = mean_over_samples(signal[..., None, None] * score)
        if exact is not None:
            gradient = exact + gradient
        if self.learn_eta:
            tuning_losses.append(gradient.square().sum((-2, -1)))
        return gradient, sum(tuning_losses[1:], start=tuning_losses[0]) if tuning_losses else None

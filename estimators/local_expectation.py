"""Local expectation gradients: every variable summed over, the others at their sample."""

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.estimators.base import Estimator
from raysweep.estimators.carrying import with_gradients
from raysweep.estimators.categorical import (
    draw_one_hot,
    jacobian_product,
    sampling_probabilities,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    evaluate,
    mean_over_samples,
)
from raysweep.estimators.noise import Noise


class LocalExpectation(Estimator):
    """The exact gradient to one variable's logits given the other variables, for each in turn.

    Unbiased; exact where the objective is a sum over variables. `1 + L (C - 1)` evaluations of the
    objective per sample, which need not be differentiable in the sample. With F_c the loss after
    variable l is set to c, the gradient to its logits is `pi_l (F - <pi_l, F>)`; the gradient to
    what the objective closes over averages all these losses, with their probabilities.

    Args:
        samples: Independent samples of all variables that the estimate averages over.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Titsias, Lazaro-Gredilla (2015), Local expectation gradients for black box variational
        inference, NeurIPS; for one layer it is the RAM estimator of Tokui, Sato (2017),
        arXiv:1611.01239.
    """

    name = "local_expectation"
    unbiased = True
    needs_gradient = False
    reference = "Titsias, Lazaro-Gredilla (2015), NeurIPS"

    def evaluations(self, latents: int, categories: int) -> int:
        """Count the evaluations: per sample, one and one per other category of each variable."""
        return self.samples * (1 + latents * (categories - 1))

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        latents, categories = logits.shape[-2:]
        p = sampling_probabilities(logits)
        one_hot = draw_one_hot(p, logits, noise, self.samples)
        others = torch.stack([one_hot.roll(by, -1) for by in range(1, categories)])
        chosen = torch.eye(latents, dtype=torch.bool, device=logits.device)
        chosen = chosen.view(latents, 1, *(1,) * (one_hot.dim() - 2), latents, 1)
        changed = torch.where(chosen, others, one_hot)  # L C-1 K *B L C
        losses = evaluate(objective, torch.cat((one_hot, changed.flatten(0, 2))))
        base, by_change = losses.split([self.samples, len(losses) - self.samples])
        after = by_change.unflatten(0, changed.shape[:3]).movedim(0, -1).unsqueeze(-1)
        table = base[..., None, None] * one_hot + (after * others).sum(0)
        gradient = mean_over_samples(jacobian_product([(1.0, p)], table.detach()))
        direct = (p * table).sum(-1).mean(-1)  # every loss is evaluated anyway, so all are averaged
        value = mean_over_samples(base).detach()
        surrogate = with_gradients(value, mean_over_samples(direct), [logits], [gradient])
        return Estimate(surrogate, value, one_hot[0])

"""ARMS: any number of negatively correlated binary samples."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from raysweep.estimators.base import Estimator
from raysweep.estimators.categorical import (
    binary_one_hot,
    compact,
    exponentials,
    from_log_odds,
    log_odds,
)
from raysweep.estimators.estimate import (
    Estimate,
    Objective,
    estimate_from_gradient,
    evaluate,
    sample_count,
)
from raysweep.estimators.noise import Noise


class ARMS(Estimator):
    """Leave-one-out with samples coupled by a Dirichlet copula; binary variables only.

    Unbiased; K = 2 is `disarm`. K evaluations of the objective, which need not be differentiable in
    the sample. With rho the samples' correlation, the gradient to a is
    `sum_k (f_k - mean f) (b_k - p) / ((1 - rho) (K - 1))`; 1 - rho is computed without the
    constant that the authors' code adds.

    Args:
        samples: K, coupled samples; at least 2.

    Raises:
        ValueError: If `samples` is not at least 2.

    References:
        Dimitriev, Zhou (2021), arXiv:2105.14141, algorithm 1 with the Dirichlet copula.
    """

    name = "arms"
    unbiased = True
    binary_only = True
    needs_gradient = False
    reference = "Dimitriev, Zhou (2021), arXiv:2105.14141"

    def __init__(self, *, samples: int = 2) -> None:
        super().__init__(samples=sample_count(samples, least=2, purpose=self.name))

    def _estimate(
        self,
        logits: Float[Tensor, "*B L C"],
        objective: Objective,
        noise: Noise,
        context: Float[Tensor, "*B F"] | None,
    ) -> Estimate:
        a = log_odds(compact(logits))
        bits = self._bits(a, exponentials(noise, logits[..., :1], self.samples).squeeze(-1))
        one_hot = binary_one_hot(bits, logits.dtype)
        losses = evaluate(objective, one_hot)
        centred = losses.detach() - losses.detach().mean(0)
        gradient = (centred.unsqueeze(-1) * (one_hot[..., 1] - torch.sigmoid(a))).sum(0)
        scaled = gradient * self._decorrelation(a) / (self.samples - 1)
        return estimate_from_gradient(logits, from_log_odds(scaled), losses, one_hot[0])

    def _bits(self, a: Float[Tensor, "*b L"], draws: Float[Tensor, "K *B L"]) -> Tensor:
        """Draw coupled bits: the rarer class where `(1 - d_k)^(K-1)` is below its probability.

        d is Dirichlet, from normalised exponentials. The other draws are summed one by one, since
        the total less a large draw would lose the digits of their sum.
        """
        others = torch.tensordot(
            1 - torch.eye(self.samples, dtype=draws.dtype, device=draws.device), draws, 1
        )
        log_uniform = (self.samples - 1) * (others.log() - draws.sum(0).log())
        is_rare = log_uniform < logsigmoid(-a.abs())
        return is_rare ^ (a >= 0)

    def _decorrelation(self, a: Float[Tensor, "*b L"]) -> Float[Tensor, "*b L"]:
        """Return 1 / (1 - rho) = `(1 - m) / (1 - P(both) / m)`, m the rarer class's probability."""
        order = self.samples - 1
        one_given_other = (1 - torch.expm1(-logsigmoid(-a.abs()) / order)).clamp(min=0) ** order
        return torch.sigmoid(a.abs()) / (1 - one_given_other)

"""Path sample-analytic gradients: a sample, and all single flips along its path."""

import torch
from torch import Tensor

from raysweep.estimators.estimate import flag
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    head_of,
)
from raysweep.estimators.layered.sampling import Draw, draw


class PSA(LayeredEstimator):
    """Products of discrete Jacobians along one sampled path, from the last layer to the first.

    Biased, except for the last layer's parameters, and for networks with one unit in every layer
    but the first. One sample; the objective's differences for each unit of the last layer are
    passed back by `v_i = sum_j x_j v_j (F(a_j) - F(a_j with unit i flipped))`, and the gradient to
    a layer's pre-activations is `v x F'(a)`. The objective need not be differentiable in the
    states. Memory grows with the layers as in backpropagation: nothing of the size of a layer's
    weights times the batch is kept.

    Args:
        samples: Independent samples that the estimate averages over.
        head_enhancement: Whether the gradient of all that the objective closes over also uses the
            flipped states, each weighted by its probability and averaged over units: unbiased,
            with less variance.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, algorithm 1 and appendices B.3, B.5.
        The condition for exactness in its proposition 3 is corrected here.
    """

    name = "psa"
    unbiased = False
    needs_gradient = False
    needs_head = True
    further_evaluations = "flips"
    reference = "Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143"

    def __init__(self, *, samples: int = 1, head_enhancement: bool = False) -> None:
        super().__init__(samples=samples)
        self.head_enhancement = flag("head_enhancement", head_enhancement)

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: one per sample, and one per unit of the last layer, flipped."""
        return self.samples

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        state, logits = drawn.states[-1], drawn.logits[-1].detach()
        head = head_of(request, state.dim() - 1 - drawn.batch_axes)
        with torch.set_grad_enabled(self.head_enhancement and torch.is_grad_enabled()):
            others = head.flips(state)
        direct = losses
        if self.head_enhancement:
            lead = 1 + drawn.batch_axes
            p_other = torch.sigmoid(-state * logits).flatten(lead).movedim(-1, 0)
            direct = losses + (p_other * (others - losses)).mean(0)
        differences = by_unit(losses.detach() - others.detach(), state)
        gradients = _gradients(request, drawn, differences)
        return drawn.estimate(gradients, losses, direct=direct)


def by_unit(differences: Tensor, state: Tensor) -> Tensor:
    """View losses of flips, `n K *B`, in the shape of the states."""
    return differences.movedim(0, -1).reshape(state.shape)


@torch.no_grad()
def _gradients(request: Request, drawn: Draw, differences: Tensor) -> list[Tensor]:
    """Return the gradients to all pre-activations.

    Args:
        request: Request of the estimate.
        drawn: Hard samples of every layer.
        differences: Loss minus that with one unit of the last layer flipped, for each unit.
    """
    gradients: list[Tensor] = []
    back, path = differences, drawn.path
    for index in reversed(range(len(request.layers))):
        x, logits = path.states[index], path.logits[index]
        signal = back * x
        gradients.append(signal * logits.sigmoid() * (-logits).sigmoid())
        if index:
            back = request.layers[index].flip_sum(drawn.states[index - 1], logits, signal)
    return gradients[::-1]

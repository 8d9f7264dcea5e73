"""ARM for networks of several layers: antithetic noise, one layer at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from raysweep.estimators.estimate import flag
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    per_unit,
)
from raysweep.estimators.layered.sampling import Draw, continued, draw, signs, uniforms


class LayeredARM(LayeredEstimator):
    """Augment, reinforce, merge: the loss's difference between a sample and its mirror image.

    Unbiased. For each layer, the noise of its units is mirrored, the states before it are kept and
    those after it follow: `(f(x) - f(x')) (u - 1/2)` is the gradient to the layer's
    pre-activations. One evaluation of the objective per sample, and one for each layer; it need
    not be differentiable in the states.

    Args:
        samples: Independent samples that the estimate averages over.
        shared_noise: Whether the layers after the mirrored one keep their noise, for less variance;
            if not, their states are drawn afresh, as in the paper.

    Raises:
        ValueError: If `samples` is not at least 1.

    References:
        Yin, Zhou (2019), arXiv:1807.11143, algorithm 2.
    """

    name = "arm"
    unbiased = True
    needs_gradient = False
    reference = "Yin, Zhou (2019), arXiv:1807.11143"

    def __init__(self, *, samples: int = 1, shared_noise: bool = True) -> None:
        super().__init__(samples=samples)
        self.shared_noise = flag("shared_noise", shared_noise)

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: per sample, one, and one for each layer."""
        return self.samples * (1 + layers)

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        gradients = []
        with torch.no_grad():
            for index, (logits, logistic) in enumerate(zip(drawn.logits, drawn.noise, strict=True)):
                mirrored = signs(logits - logistic, logits.dtype)
                noise = self._noise_after(request, drawn, index)
                path = continued(request.layers, drawn, index, mirrored, noise)
                difference = losses - request.losses(path)
                centred = torch.sigmoid(logistic) - 0.5
                gradients.append(per_unit(difference, centred) * centred)
        return drawn.estimate(gradients, losses)

    def _noise_after(self, request: Request, drawn: Draw, index: int) -> Sequence[Tensor]:
        """Return the noise of all layers; that after the given layer is the sample's, or fresh."""
        if self.shared_noise:
            return drawn.noise
        after = drawn.noise[index + 1 :]
        fresh = [torch.logit(uniforms(request.noise, like, drawn.batch_axes)) for like in after]
        return (*drawn.noise[: index + 1], *fresh)

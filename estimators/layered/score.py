"""Score-function estimators of layered networks, with and without baselines."""

from raysweep.estimators.centring import Centring
from raysweep.estimators.estimate import flag
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    LayeredSizes,
    Request,
    per_unit,
)
from raysweep.estimators.layered.sampling import draw


class LayeredReinforce(LayeredEstimator):
    """The score function times the loss, less a baseline if the caller gives one.

    Unbiased: `(f(x) - b) d log p(x)`. One sample; the objective need not be differentiable in the
    states. A baseline is any number that does not depend on the sample, such as a running mean of
    an example's loss, or its expectation.

    Args:
        samples: Independent samples that the estimate averages over.
        leave_one_out: Whether each sample's baseline is the mean loss of the others; needs two
            samples or more.

    Raises:
        ValueError: If `samples` is not at least 1, or 1 with `leave_one_out`.

    References:
        Williams (1992), Machine Learning 8, 229-256.
    """

    name = "reinforce"
    unbiased = True
    needs_gradient = False
    takes_baseline = True
    reference = "Williams (1992), Machine Learning 8, 229-256"

    def __init__(self, *, samples: int = 1, leave_one_out: bool = False) -> None:
        super().__init__(samples=samples)
        self.leave_one_out = flag("leave_one_out", leave_one_out)
        if leave_one_out and samples < 2:
            raise ValueError(f"leave_one_out needs samples >= 2, got {samples}")

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        signal = losses.detach()
        if self.leave_one_out:
            signal = (signal - signal.mean(0)) * (self.samples / (self.samples - 1))
        elif request.baseline is not None:
            signal = signal - request.baseline
        gradients = [per_unit(signal, score) * score for score in drawn.scores()]
        return drawn.estimate(gradients, losses)


class LayeredNVIL(Centring[LayeredSizes], LayeredEstimator):
    """The score function with a running mean and a network's prediction as baselines.

    Unbiased unless `normalise` is on: `(f(x) - c - b(context)) d log p(x)`. One sample; the
    objective need not be differentiable in the states. All layers have one baseline.

    Args:
        samples: Independent samples that the estimate averages over.
        normalise: Whether to divide by the signal's running standard deviation where that exceeds
            1, as the paper does: it changes the step size, and makes the estimate biased.
        decay: Decay of the running mean and variance, in [0, 1); 0.8 in the paper.
        hidden: Number of units of the baseline network.

    Raises:
        ValueError: If `samples` or `hidden` is not at least 1, or `decay` not in [0, 1).

    References:
        Mnih, Gregor (2014), arXiv:1402.0030, section 2.3 and algorithm 1.
    """

    name = "nvil"
    reference = "Mnih, Gregor (2014), arXiv:1402.0030"

    def _build(self, layers: int, context: int | None, replicas: int | None) -> None:
        self._build_baselines(context, replicas)

    def _estimate(self, request: Request) -> LayeredEstimate:
        drawn = draw(request.layers, request.x, request.noise, self.samples)
        losses = request.losses(drawn.path)
        signal, tuning_loss = self._center(losses.detach(), request.context)
        gradients = [per_unit(signal, score) * score for score in drawn.scores()]
        return drawn.estimate(gradients, losses, tuning_loss)

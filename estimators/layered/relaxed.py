"""Networks of continuous states, trained in place of the stochastic binary one."""

from abc import abstractmethod

import torch
from torch import Tensor

from raysweep.estimators.estimate import no_gradient
from raysweep.estimators.layered.base import (
    LayeredEstimate,
    LayeredEstimator,
    Request,
    mean_losses,
)
from raysweep.estimators.layered.objective import Path
from raysweep.estimators.layered.sampling import beside_hard, uniforms


class RelaxedNetwork(LayeredEstimator):
    """The gradient of a network whose units have values in [-1, 1] instead of signs.

    The loss is evaluated twice: at the relaxed states, whose gradient is followed, and at hard
    samples, for `value`.
    """

    unbiased = False
    needs_gradient = True
    relaxes = True

    @abstractmethod
    def _relax(self, logits: Tensor, request: Request) -> Tensor:
        """Return the relaxed states of a layer, `K *B units`."""

    @property
    @abstractmethod
    def _relaxed_samples(self) -> int:
        """Number of relaxed samples."""

    def _estimate(self, request: Request) -> LayeredEstimate:
        states: list[Tensor] = []
        logits: list[Tensor] = []
        for index, layer in enumerate(request.layers):
            a = layer(states[-1] if index else request.x)
            a = a if index else a.expand(self._relaxed_samples, *a.shape)
            states.append(self._relax(a, request))
            logits.append(a)
        followed = mean_losses(request.losses(Path(tuple(states), tuple(logits))))
        if states[-1].requires_grad and not followed.requires_grad:
            raise no_gradient(self.name, "the states")
        return beside_hard(request, self.samples, followed, followed.detach())


class Tanh(RelaxedNetwork):
    """The network with tanh units in place of the random signs.

    Biased: it minimises another network's loss. Deterministic, but for the hard samples that
    `value` is measured at.

    Args:
        samples: Hard samples that `value` averages over.
        slope: Factor of the pre-activation; 1 in the paper, 0.5 for the mean of the unit's law.

    Raises:
        ValueError: If `samples` is not at least 1, or `slope` not positive.

    References:
        Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143, section 3.
    """

    name = "tanh"
    per_replica = frozenset({"slope"})
    reference = "Shekhovtsov, Yanush, Flach (2020), arXiv:2006.03143"
    slope: float | Tensor

    def __init__(self, *, samples: int = 1, slope: float | Tensor = 1.0) -> None:
        super().__init__(samples=samples)
        self._keep("slope", slope)

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: one of the network of tanh units, and one per hard sample."""
        return 1 + self.samples

    @property
    def _relaxed_samples(self) -> int:
        return 1

    def _relax(self, logits: Tensor, request: Request) -> Tensor:
        return torch.tanh(logits * self._over_batch("slope", request.x, logits))


class Concrete(RelaxedNetwork):
    """The network with logistic noise and a soft sign, `2 sigmoid((a + noise) / lambda) - 1`.

    Biased: it minimises the loss of the relaxed network, which is no bound of the expected loss.

    Args:
        samples: Relaxed samples that the estimate averages over, and hard ones for `value`.
        temperature: lambda; > 0, dimensionless. `tanh((a + noise) / T)` has lambda = T / 2.

    Raises:
        ValueError: If `samples` is not at least 1, or `temperature` not positive.

    References:
        Maddison, Mnih, Teh (2017), arXiv:1611.00712; Jang, Gu, Poole (2017), arXiv:1611.01144.
    """

    name = "concrete"
    per_replica = frozenset({"temperature"})
    reference = "Maddison, Mnih, Teh (2017), arXiv:1611.00712"
    temperature: float | Tensor

    def __init__(self, *, samples: int = 1, temperature: float | Tensor = 0.5) -> None:
        super().__init__(samples=samples)
        self._keep("temperature", temperature)

    def set_temperature(self, temperature: float | Tensor) -> None:
        """Change the temperature, for example along a schedule.

        Args:
            temperature: lambda, or a tensor `R` of one for each replica.

        Raises:
            ValueError: If a temperature is out of range.
            TypeError: If it is neither a number nor a tensor.
        """
        self._keep("temperature", temperature)

    def evaluations(self, layers: int) -> int:
        """Count the evaluations: per sample, one relaxed and one hard."""
        return 2 * self.samples

    @property
    def _relaxed_samples(self) -> int:
        return self.samples

    def _relax(self, logits: Tensor, request: Request) -> Tensor:
        uniform = uniforms(request.noise, logits, request.batch_axes)
        temperature = self._over_batch("temperature", request.x, logits)
        relaxed = torch.tanh((logits + torch.logit(uniform)) / (2 * temperature))
        return relaxed.to(logits.dtype)

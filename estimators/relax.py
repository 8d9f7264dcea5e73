"""RELAX: REBAR with a learned function of the noise added to the control variate."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import leaky_relu

from raysweep.estimators.carrying import is_traced, values_and_slopes
from raysweep.estimators.estimate import sample_count
from raysweep.estimators.learned import Network
from raysweep.estimators.rebar import Correction, RelaxedControl

LARGEST = 1000.0
"""Largest perturbed logit, and minus the least one, that the network sees."""


class RELAX(RelaxedControl):
    """The score function with the relaxed objective and a network as control variate.

    Unbiased, for any parameters. Evaluations as for `rebar`. The control variate is
    `c(z) = eta f(softmax(z / lambda)) + r(z, x)`, with r a network of one hidden layer that sees
    the perturbed logits and the context, if there is one; r starts at zero. Its parameters, the
    weight and the temperature are learned, to reduce the squared gradient; a learned temperature
    needs an objective that torch differentiates twice correctly, which cannot be checked.

    Args:
        temperature: lambda, its initial value if learned; > 0, dimensionless.
        eta: Weight of the relaxed objective, its initial value if learned, then in (0, 2).
        learn_temperature: Whether the temperature is learned.
        learn_eta: Whether the weight is learned.
        coupled: Whether the redrawn noise takes the value it had, which saves an
            evaluation.
        hidden: Number of units of the network, leaky rectified with slope 0.3.
        samples: Independent draws that the estimate averages over.

    Raises:
        ValueError: If a setting is out of range.

    References:
        Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), arXiv:1711.00123, section 3.2; the network's
        size as in the code of Shi et al. (2022), arXiv:2202.09497.
    """

    name = "relax"
    reads_context = True
    reference = "Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), arXiv:1711.00123"

    def __init__(
        self,
        *,
        temperature: float | Tensor = 0.5,
        eta: float | Tensor = 1.0,
        learn_temperature: bool = True,
        learn_eta: bool = True,
        coupled: bool = True,
        hidden: int = 137,
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
        self.hidden = sample_count(hidden, quantity="hidden")
        self.network: Network | None = None

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        super()._build(latents, categories, context, replicas)
        inputs = latents * (1 if categories == 2 else categories) + (context or 0)
        self.network = Network(
            (inputs, self.hidden, 1),
            partial(leaky_relu, negative_slope=0.3),
            replicas,
            name=self.name,
            starts_at_zero=True,
        )

    def _correction(
        self, z: Float[Tensor, "S *B L W"], context: Float[Tensor, "*B F"] | None
    ) -> Correction | None:
        if self.network is None:
            raise RuntimeError("relax was not built")
        # of masked categories z is huge, and the network must not be: it sees its ends instead
        within = z.detach().abs() < LARGEST
        point = z.detach().clamp(-LARGEST, LARGEST)
        network = self.network

        def values(point: Tensor) -> Tensor:
            inputs = point.flatten(-2).movedim(0, -2)  # replicas lead, samples after the batch
            if context is not None:
                repeated = context.unsqueeze(-2).expand(*inputs.shape[:-1], -1)
                inputs = torch.cat((inputs, repeated), -1)
            result: Tensor = network(inputs).squeeze(-1).movedim(-1, 0)
            return result

        if is_traced():
            value, slope = values_and_slopes(values, point)
        else:
            value = values(point.requires_grad_())
            (slope,) = torch.autograd.grad(value.sum(), point, create_graph=True)
        return Correction(value, slope * within)

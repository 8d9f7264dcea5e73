"""RELAX: REBAR with a learned function of the noise added to the control variate."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
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

    With `eta` 0 and `learn_eta` False, the network alone is the control variate: the objective is
    evaluated once per sample, at hard samples only, and may be any function.

    Args:
        temperature: lambda, its initial value if learned; > 0, dimensionless.
        eta: Weight of the relaxed objective, its initial value if learned, then in (0, 2).
        learn_temperature: Whether the temperature is learned.
        learn_eta: Whether the weight is learned.
        coupled: Whether the redrawn noise takes the value it had, which saves an
            evaluation.
        hidden: Number of units of the network, leaky rectified with slope 0.3.
        control: Module in place of the network, in Python alone: a function of z, `S *B L C` (or
            `S *B L 1`, the log-odds, for two categories), and of the context if there is one, to
            values `S *B`. It must be differentiable twice, and it leads with the replicas if
            there are any.
        samples: Independent draws that the estimate averages over.

    Raises:
        ValueError: If a setting is out of range.

    References:
        Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), arXiv:1711.00123, section 3.2; the network's
        size as in the code of Shi et al. (2022), arXiv:2202.09497.
    """

    name = "relax"
    reads_context = True
    python_only = frozenset({"control"})
    reference = "Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), arXiv:1711.00123"

    def __init__(  # noqa: PLR0913 - settings, given by name
        self,
        *,
        temperature: float | Tensor = 0.5,
        eta: float | Tensor = 1.0,
        learn_temperature: bool = True,
        learn_eta: bool = True,
        coupled: bool = True,
        hidden: int = 137,
        control: nn.Module | None = None,
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
        if control is not None and not isinstance(control, nn.Module):
            raise TypeError(f"control must be a torch.nn.Module, got {type(control).__name__}")
        self.control = control

    def _build(
        self, latents: int, categories: int, context: int | None, replicas: int | None
    ) -> None:
        super()._build(latents, categories, context, replicas)
        if self.control is not None:
            return
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
        # of masked categories z is huge, and the network must not be: it sees its ends instead
        within = z.detach().abs() < LARGEST
        point = z.detach().clamp(-LARGEST, LARGEST)

        def values(point: Tensor) -> Tensor:
            return self._values(point, context)

        if is_traced():
            value, slope = values_and_slopes(values, point)
        else:
            value = values(point.requires_grad_())
            (slope,) = torch.autograd.grad(value.sum(), point, create_graph=True)
        return Correction(value, slope * within)

    def _values(
        self, z: Float[Tensor, "S *B L W"], context: Float[Tensor, "*B F"] | None
    ) -> Float[Tensor, " S *B"]:
        """Return the learned control variate at z.

        Raises:
            ValueError: If the user's module returns another shape.
        """
        if self.control is not None:
            value: Tensor = self.control(z) if context is None else self.control(z, context)
            if value.shape != z.shape[:-2]:
                raise ValueError(
                    f"control must return values `S *B` {tuple(z.shape[:-2])}, got "
                    f"{tuple(value.shape)}"
                )
            return value
        if self.network is None:
            raise RuntimeError("relax was not built")
        inputs = z.flatten(-2).movedim(0, -2)  # replicas lead, samples after the batch
        if context is not None:
            repeated = context.unsqueeze(-2).expand(*inputs.shape[:-1], -1)
            inputs = torch.cat((inputs, repeated), -1)
        result: Tensor = self.network(inputs)
        return result.squeeze(-1).movedim(-1, 0)

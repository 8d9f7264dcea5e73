"""Update rules with settings per replica, equal to `torch.optim` run on each replica alone."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Group:
    """Adjacent replicas with equal settings: views of their parameters and moments."""

    settings: Mapping[str, float]
    parameters: list[Tensor]
    moments: Mapping[str, list[Tensor]]


class Optimizer(ABC):
    """Update rule for the parameters of `R` replicas, each with its own settings.

    Torch's fused kernels take one number per setting, so replicas are divided into groups of
    adjacent ones with equal settings: order replicas by their settings to keep groups few.

    Args:
        parameters: Tensors `R ...`, contiguous; updated in place.
        settings: Sequence of `R` numbers for every name in `setting_names`.

    Raises:
        ValueError: If a setting is missing, or not given for every replica.
    """

    setting_names: ClassVar[tuple[str, ...]]
    moment_names: ClassVar[tuple[str, ...]]

    def __init__(
        self, parameters: Sequence[Tensor], settings: Mapping[str, Sequence[float] | Tensor]
    ) -> None:
        if missing := sorted(set(self.setting_names) - set(settings)):
            raise ValueError(f"{type(self).__name__} needs the settings {', '.join(missing)}")
        self.steps = 0
        self._parameters = [parameter.detach() for parameter in parameters]
        self._settings = {
            name: torch.as_tensor(settings[name], dtype=torch.float64, device="cpu")
            for name in self.setting_names
        }
        self._factors = torch.ones_like(self._settings["lr"])
        self._moments = {
            name: [torch.zeros_like(parameter) for parameter in self._parameters]
            for name in self.moment_names
        }
        self._regroup()

    @abstractmethod
    def _update(self, group: Group, gradients: list[Tensor]) -> None:
        """Update the parameters of one group, at step `self.steps`, counted from 1."""

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update every parameter in place.

        Args:
            gradients: Gradient of every parameter, of its shape.
        """
        self.steps += 1
        self._count.fill_(self.steps)
        gradients = [gradient.contiguous() for gradient in gradients]
        if len(self._groups) == 1:
            self._update(self._groups[0], gradients)
            return
        parts = [gradient.split(self._sizes) for gradient in gradients]
        for index, group in enumerate(self._groups):
            self._update(group, [part[index] for part in parts])

    def scale_rates(self, factors: Float[Tensor, " R"]) -> None:
        """Multiply every replica's learning rate, as set at the start, by a factor."""
        if not torch.equal(factors, self._factors):
            self._factors = factors
            self._regroup()

    def select(self, keep: Tensor, parameters: Sequence[Tensor]) -> None:
        """Drop replicas.

        Args:
            keep: Boolean mask or indices over the current replicas.
            parameters: Parameters of the kept replicas, in the order they had at the start.
        """
        self._parameters = [parameter.detach() for parameter in parameters]
        self._settings = {name: values[keep.cpu()] for name, values in self._settings.items()}
        self._factors = self._factors[keep.cpu()]
        self._moments = {
            name: [moment[keep].contiguous() for moment in moments]
            for name, moments in self._moments.items()
        }
        self._regroup()

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps taken and the moments, without settings."""
        return {"steps": self.steps, "moments": self._moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the state of an optimizer with the same parameters and settings."""
        self.steps = state["steps"]
        for name, moments in self._moments.items():
            for moment, saved in zip(moments, state["moments"][name], strict=True):
                moment.copy_(saved)

    def _regroup(self) -> None:
        """Divide the replicas into groups; the views stay valid until replicas are dropped."""
        current = {**self._settings, "lr": self._settings["lr"] * self._factors}
        rows = list(zip(*(values.tolist() for values in current.values()), strict=True))
        for parameter in self._parameters:
            if len(parameter) != len(rows):
                raise ValueError(
                    f"settings are for {len(rows)} replicas, got {tuple(parameter.shape)=}"
                )
        starts = [r for r, row in enumerate(rows) if r == 0 or row != rows[r - 1]]
        stops = [*starts[1:], len(rows)]
        self._sizes = [stop - start for start, stop in zip(starts, stops, strict=True)]
        self._groups = [
            Group(
                settings=dict(zip(self.setting_names, rows[start], strict=True)),
                parameters=[parameter[start:stop] for parameter in self._parameters],
                moments={
                    name: [moment[start:stop] for moment in moments]
                    for name, moments in self._moments.items()
                },
            )
            for start, stop in zip(starts, stops, strict=True)
        ]
        device = self._parameters[0].device if self._parameters else None
        self._count = torch.zeros((), dtype=torch.float32, device=device)
        self._counts = [self._count] * len(self._parameters)


class SGD(Optimizer):
    """Stochastic gradient descent with an L2 penalty and heavy-ball momentum.

    Args:
        parameters: Tensors `R ...`, contiguous; updated in place.
        settings: Values of `lr`, `weight_decay` and `momentum`, for every replica.
        nesterov: True for Nesterov's form of the momentum; replicas without momentum ignore it.
    """

    setting_names = ("lr", "weight_decay", "momentum")
    moment_names = ("velocity",)

    def __init__(
        self,
        parameters: Sequence[Tensor],
        settings: Mapping[str, Sequence[float] | Tensor],
        *,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, settings)
        self._nesterov = nesterov

    def _update(self, group: Group, gradients: list[Tensor]) -> None:
        momentum = group.settings["momentum"]
        torch._fused_sgd_(
            group.parameters,
            gradients,
            group.moments["velocity"] if momentum else [],
            weight_decay=group.settings["weight_decay"],
            momentum=momentum,
            lr=group.settings["lr"],
            dampening=0.0,
            nesterov=self._nesterov and momentum > 0,
            maximize=False,
            # With a velocity of zero the first step is the same as torch's first step.
            is_first_step=False,
        )


class Adam(Optimizer):
    """Adam with an L2 penalty: settings `lr`, `weight_decay`, `beta1`, `beta2`, `epsilon`.

    References:
        Kingma, Ba (2015), arXiv:1412.6980, algorithm 1.
    """

    setting_names = ("lr", "weight_decay", "beta1", "beta2", "epsilon")
    moment_names = ("first", "second")

    def _update(self, group: Group, gradients: list[Tensor]) -> None:
        _fused_adam(group, gradients, self._counts, group.settings["lr"], group.settings["epsilon"])


class RAdam(Optimizer):
    """Rectified Adam with an L2 penalty, with the settings of `Adam`.

    A rectified step is a step of Adam with a scaled learning rate: torch adds epsilon before the
    second moment's bias is corrected, Adam after it, hence the scaled epsilon.

    References:
        Liu et al. (2020), arXiv:1908.03265, algorithm 2; epsilon as in `torch.optim.RAdam`.
    """

    setting_names = Adam.setting_names
    moment_names = Adam.moment_names

    def _update(self, group: Group, gradients: list[Tensor]) -> None:
        settings = group.settings
        rectification = _rectification(settings["beta2"], self.steps)
        if rectification is None:
            _unadapted_step(group, gradients, self.steps)
            return
        epsilon = settings["epsilon"] / math.sqrt(1 - settings["beta2"] ** self.steps)
        _fused_adam(group, gradients, self._counts, settings["lr"] * rectification, epsilon)


def clip_gradients(gradients: Sequence[Tensor], largest: float) -> tuple[Tensor, ...]:
    """Return the gradients, scaled for each replica whose norm is too large.

    Equal to `torch.nn.utils.clip_grad_norm_` on each replica alone.

    Args:
        gradients: Gradient of every parameter, `R ...`.
        largest: Norm over all parameters of a replica to which larger ones are scaled.
    """
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
    norms = torch.stack(squares).sum(0).sqrt()
    factors = (largest / (norms + 1e-6)).clamp(max=1)
    return tuple(gradient * factors.view(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients)


def _fused_adam(
    group: Group, gradients: list[Tensor], counts: list[Tensor], lr: float, epsilon: float
) -> None:
    torch._fused_adam_(
        group.parameters,
        gradients,
        group.moments["first"],
        group.moments["second"],
        [],
        counts,
        lr=lr,
        beta1=group.settings["beta1"],
        beta2=group.settings["beta2"],
        weight_decay=group.settings["weight_decay"],
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def _rectification(beta2: float, step: int) -> float | None:
    """Return the learning rate's factor r_t; None while the second moment has too few terms."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / (1 - beta2**step)
    if length <= 5:
        return None
    return math.sqrt(
        (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    )


def _unadapted_step(group: Group, gradients: list[Tensor], step: int) -> None:
    """Update the parameters by momentum alone; the second moment is only accumulated."""
    settings = group.settings
    if settings["weight_decay"]:
        penalty = settings["weight_decay"]
        gradients = list(torch._foreach_add(gradients, group.parameters, alpha=penalty))
    torch._foreach_lerp_(group.moments["first"], gradients, 1 - settings["beta1"])
    torch._foreach_mul_(group.moments["second"], settings["beta2"])
    torch._foreach_addcmul_(group.moments["second"], gradients, gradients, 1 - settings["beta2"])
    rate = settings["lr"] / (1 - settings["beta1"] ** step)
    torch._foreach_add_(group.parameters, group.moments["first"], alpha=-rate)

"""Settings and learned parts with one entry per replica."""

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.learned import Scalar, replica_view


class Replicated(nn.Module):
    """A module whose settings and learned parts may have one entry per replica.

    Every parameter and buffer leads with the replica axis where `replicas` is set. Families of
    estimators share this base; it knows nothing of their latent variables.

    Attributes:
        name: Key in the registry.
        per_replica: Settings that may be a tensor `R`, broadcast over the logits' first axis.
        replicas: R of the learned parts; None before they are built, or without a replica axis.
    """

    name: ClassVar[str]
    per_replica: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.replicas: int | None = None

    def select(self, keep: Tensor) -> None:
        """Keep some replicas, and drop the others.

        A setting in which the kept ones are equal becomes one number, which is rounded in other
        ways than a tensor: so they continue as with an estimator that was made for them alone.
        Parameters keep their identity, so an optimizer that holds them continues with the kept
        replicas; the optimizer's own state is for its owner to select.

        Args:
            keep: A boolean mask over the present replicas, or a tensor of their indices.
        """
        for name in self.per_replica:
            value = getattr(self, name)
            if isinstance(value, Tensor):
                numbers = value[keep].tolist()
                if len(set(numbers)) == 1:
                    self._buffers.pop(name)
                    setattr(self, name, numbers[0])
                else:
                    setattr(self, name, value[keep])
        if self.replicas is None:
            return
        for module in self.modules():
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data[keep]
                parameter.grad = None
            for name, buffer in list(module.named_buffers(recurse=False)):
                if module is not self or name not in self.per_replica:
                    setattr(module, name, buffer[keep])
        self.replicas = int(keep.sum()) if keep.dtype == torch.bool else len(keep)

    def _keep(
        self,
        name: str,
        value: Any,
        *,
        minimum: float | None = None,
        between: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        """Store a per-replica setting: a float, or a tensor `R` as a buffer that `.to` moves.

        Args:
            name: The setting's name.
            value: A finite number, or a tensor `R` of them.
            minimum: The least valid number, if there is one.
            between: The open interval of valid numbers, where there is no minimum.

        Raises:
            ValueError: If a number is out of range, or a tensor is not `R`.
            TypeError: If the value is neither a number nor a tensor.
        """
        if not isinstance(value, Tensor):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number or a tensor `R`, got {value!r}")
        elif value.requires_grad:
            raise ValueError(
                f"{name} must not require a gradient, as none is computed for it; detach it, or "
                "use an estimator that learns it, such as rebar"
            )
        elif value.ndim != 1 or not value.is_floating_point():
            shape = tuple(value.shape)
            raise ValueError(
                f"{name} must be a floating point tensor `R`, got {value.dtype} of shape {shape}"
            )
        low, high = between
        for number in value.tolist() if isinstance(value, Tensor) else [value]:
            is_valid = low < number < high if minimum is None else number >= minimum
            # without isfinite, which no compiler follows for numbers that change
            if not (-math.inf < number < math.inf and is_valid):
                raise ValueError(f"{name} must be finite{_bound(minimum, low, high)}, got {number}")
        if isinstance(value, Tensor):
            self.__dict__.pop(name, None)  # a number stored before: a buffer cannot replace it
            self.register_buffer(name, value.detach().clone(), persistent=False)
        else:
            self._buffers.pop(name, None)  # a tensor stored before: a number cannot replace it
            setattr(self, name, float(value))

    def _keep_eta(self, eta: float | Tensor, learned: bool) -> None:
        """Store a control variate's weight; a learned weight stays between 0 and 2."""
        self._keep("eta", eta, between=(0.0, 2.0) if learned else (-math.inf, math.inf))

    def _refuse_learned(self, name: str, learned: bool) -> None:
        """Check that a setting is not learned, so that it can be changed.

        Raises:
            ValueError: If it is learned.
        """
        if learned:
            raise ValueError(f"{name} is learned and cannot be set; set learn_{name} to false")

    def _broadcast(self, name: str, logits: Float[Tensor, "*B L C"]) -> float | Tensor:
        """Return a per-replica setting in a shape that broadcasts over the logits.

        Raises:
            ValueError: If the logits' first axis does not have one entry per replica.
        """
        value = getattr(self, name)
        if isinstance(value, float):
            return value
        if logits.ndim < 3 or logits.shape[0] != len(value):
            raise ValueError(
                f"{name} holds {len(value)} replicas, so logits must lead with that many, "
                f"got shape {tuple(logits.shape)}"
            )
        return replica_view(value.to(logits.dtype), logits)

    def _value(
        self, name: str, learned: Scalar | None, logits: Float[Tensor, "*B L C"]
    ) -> float | Tensor:
        """Return the learned value of a per-replica setting, or the setting if none is learned."""
        return self._broadcast(name, logits) if learned is None else learned(logits)

    def _replicas_of_settings(self) -> int | None:
        """Return R of the settings that are tensors, or None if none is."""
        values = (getattr(self, name) for name in sorted(self.per_replica))
        return next((len(value) for value in values if isinstance(value, Tensor)), None)

    def _check_settings(self, replicas: int | None) -> None:
        """Check that every setting that is a tensor has this number of replicas.

        Raises:
            ValueError: If a setting has another number of replicas.
        """
        for name in sorted(self.per_replica):
            value = getattr(self, name)
            if replicas is not None and isinstance(value, Tensor) and len(value) != replicas:
                raise ValueError(f"{name} must hold {replicas} replicas, got {len(value)}")

    def _check_first_axis(self, logits: Float[Tensor, "*B L C"]) -> None:
        """Check that the logits lead with the replicas of the learned parts.

        Raises:
            ValueError: If they do not.
        """
        if self.replicas is not None and (logits.ndim < 3 or len(logits) != self.replicas):
            raise ValueError(
                f"{self.name} was built for {self.replicas} replicas, so logits must lead with "
                f"that many, got shape {tuple(logits.shape)}"
            )


def _bound(minimum: float | None, low: float, high: float) -> str:
    """Return the words for the valid range, to follow "must be finite"."""
    if minimum is not None:
        return f" and >= {minimum:g}"
    if math.isfinite(low):
        return f" and > {low:g}" + (f" and < {high:g}" if math.isfinite(high) else "")
    return ""

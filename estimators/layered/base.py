"""The base class of estimators for networks of several layers of stochastic binary units."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from raysweep.estimators.carrying import is_traced
from raysweep.estimators.layered.layers import Layer
from raysweep.estimators.layered.objective import Head, Path, PathObjective
from raysweep.estimators.method import Method, text_of_sizes
from raysweep.estimators.noise import Noise


class LayeredSizes(NamedTuple):
    """The sizes that learned parts are built for; `context` is its number of features."""

    layers: int
    context: int | None
    replicas: int | None

    def __str__(self) -> str:
        return text_of_sizes(f"{self.layers} layers", self.context, self.replicas)


class LayeredEstimate(NamedTuple):
    """One gradient estimate per example.

    Args:
        surrogate: `*B`. The number `value`, with a gradient that estimates the gradient of the
            expected objective with respect to the layers' parameters and to everything the
            objective closes over. So it can be a loss of another objective. It has no second
            derivative.
        value: `*B`. Detached loss at hard samples, the mean over them.
        states: States of every layer in one hard sample, `*B units` each, detached.
        tuning_loss: `*B` or None. Its gradient reaches the estimator's own parameters only.
        relaxed: `*B` or None. Detached loss that the surrogate follows, where the method replaces
            the expected loss by that of a relaxed network.
    """

    surrogate: Float[Tensor, "*B"]
    value: Float[Tensor, "*B"]
    states: tuple[Tensor, ...]
    tuning_loss: Float[Tensor, "*B"] | None = None
    relaxed: Float[Tensor, "*B"] | None = None


class Request(NamedTuple):
    """Network, input, objective and noise of an estimate, after checks.

    Args:
        layers: Layers of the network.
        x: Input of the first layer, `*B inputs`.
        objective: Function from a path to its losses.
        noise: Source of random numbers.
        context: Input of learned baselines, `*B F`, or None.
        baseline: Number that is subtracted from each example's losses in score functions, `*B`.
    """

    layers: Sequence[Layer]
    x: Float[Tensor, "*B inputs"]
    objective: PathObjective
    noise: Noise
    context: Float[Tensor, "*B F"] | None
    baseline: Float[Tensor, "*B"] | None

    @property
    def batch_axes(self) -> int:
        """Number of axes of the batch."""
        return self.x.ndim - self.layers[0].input_axes

    def losses(self, path: Path) -> Float[Tensor, " K *B"]:
        """Return the losses of a path.

        Raises:
            ValueError: If the objective does not return one loss per sample and example.
        """
        return self.checked(self.objective(path), path.states[0])

    def checked(self, losses: Tensor, state: Tensor) -> Float[Tensor, " K *B"]:
        """Return the losses of these states.

        Raises:
            ValueError: If the objective does not return one loss per sample and example.
        """
        expected = state.shape[: 1 + self.batch_axes]
        if losses.shape != expected:
            raise ValueError(
                f"objective must return losses `K *B` {tuple(expected)}, got "
                f"{tuple(losses.shape)}; keep the sample axis and every batch axis"
            )
        return losses


class LayeredEstimator(Method[LayeredSizes]):
    """A gradient estimator for the expected loss of a network of stochastic binary layers.

    Layer k has units of ±1, and unit j is 1 with probability `sigmoid(a_j)`, `a` being the layer's
    map of the states before it. A subclass computes in `_estimate`.

    Attributes:
        needs_head: Whether the objective must read the last layer alone, as a `Head`.
        needs_moments: Whether it needs layers that map means and variances.
        takes_baseline: Whether it subtracts a baseline that the caller gives.
        relaxes: Whether it follows a relaxed network's loss instead of the expected one.
        further_evaluations: Evaluations of the objective besides those at paths: "flips" of single
            units of the last layer, all "states", or "" for none.
    """

    needs_head: ClassVar[bool] = False
    needs_moments: ClassVar[bool] = False
    takes_baseline: ClassVar[bool] = False
    relaxes: ClassVar[bool] = False
    further_evaluations: ClassVar[Literal["", "flips", "states"]] = ""

    def evaluations(self, layers: int) -> int:
        """Count the objective's evaluations at paths, per example and estimate: one per sample.

        Those of `further_evaluations` are not counted.

        Args:
            layers: Number of layers.
        """
        return self.samples

    def check(self, units: Sequence[int], *, head: bool, linear: bool) -> str | None:
        """Return the reason this estimator cannot handle such a network, or None.

        Args:
            units: Number of units of each layer, first to last.
            head: Whether the objective reads the last layer alone, as a `Head`.
            linear: Whether all layers map means and variances.
        """
        return self._misfit(len(units), head, linear) or self._check(units, head)

    def _check(self, units: Sequence[int], head: bool) -> str | None:
        """Return a subclass's reason to refuse a network of that size, or None."""
        return None

    def _misfit(self, layers: int, head: bool, linear: bool) -> str | None:
        if self.needs_head and layers > 1 and not head:
            return (
                f"{self.name} needs an objective of the last layer's states alone, as a Head; use "
                "an estimator for objectives of all layers, such as rebar"
            )
        if self.needs_moments and not linear:
            return f"{self.name} needs linear layers, whose moments are known"
        return None

    @abstractmethod
    def _estimate(self, request: Request) -> LayeredEstimate:
        """Compute the estimate."""

    def estimate(
        self,
        layers: Sequence[Layer],
        x: Float[Tensor, "*B inputs"],
        objective: PathObjective,
        noise: Noise,
        *,
        context: Shaped[Tensor, "..."] | None = None,
        baseline: Float[Tensor, "*B"] | None = None,
    ) -> LayeredEstimate:
        """Estimate the gradient of the expected objective.

        Args:
            layers: Layers of the network, first to last; at least one.
            x: Input of the first layer. With replicas, `*B` is `R B`.
            objective: Function from a path to losses `K *B`; a `Head` reads the last layer alone.
            noise: The source of every random number.
            context: `*B F`, of any dtype: the input that learned baselines may read.
            baseline: Loss to expect of each example, for estimators with `takes_baseline`.

        Raises:
            ValueError: If this estimator cannot handle such a network, objective or context, or
                the objective returns another shape.
            TypeError: If the input is not floating point.
        """
        self._validate(layers, x, objective)
        batch = x.shape[: x.ndim - layers[0].input_axes]
        if context is not None:
            if context.shape[:-1] != batch:
                raise ValueError(
                    f"context must be `*B F` with the input's batch {tuple(batch)}, got shape "
                    f"{tuple(context.shape)}; expand it to every example"
                )
            context = context.detach().to(x.dtype)
        if baseline is not None:
            if not self.takes_baseline:
                raise ValueError(f"{self.name} takes no baseline; leave it out")
            if baseline.shape != batch:
                raise ValueError(
                    f"baseline must be `*B` {tuple(batch)}, got shape {tuple(baseline.shape)}"
                )
            baseline = baseline.detach()
        features = None if context is None else context.shape[-1]
        if self._built is None:
            self.build(len(layers), features, layers[0].replicas)
            self.to(x.device, x.dtype)
        if self._learns:
            self._match(len(layers), features, x)
        return self._estimate(Request(layers, x, objective, noise, context, baseline))

    def build(self, layers: int, context: int | None = None, replicas: int | None = None) -> None:
        """Create the learned parts, once; the first `estimate` does it if nobody did.

        Args:
            layers: Number of layers.
            context: Number of features of the context, if there will be one.
            replicas: R, if every parameter, buffer and running moment must lead with it. A
                setting that is a tensor `R` asks for it as well.

        Raises:
            ValueError: If it was built for other sizes, a size is refused, or a setting has
                another number of replicas.
        """
        replicas = self._replicas_of_settings() if replicas is None else replicas
        self._build_once(LayeredSizes(layers, context, replicas))

    def _build(self, layers: int, context: int | None, replicas: int | None) -> None:
        """Create a subclass's learned parts."""

    def _create(self, sizes: LayeredSizes) -> None:
        self._build(*sizes)

    def _refusal(self, sizes: LayeredSizes) -> str | None:
        return None if sizes.layers >= 1 else f"layers must be at least 1, got {sizes.layers}"

    def _match(self, layers: int, features: int | None, x: Tensor) -> None:
        """Check that a network and a context have the sizes of the learned parts.

        Raises:
            ValueError: If a size is another.
        """
        built = self._built_for
        if built is None:
            return
        sizes = built._replace(layers=layers)
        if self.reads_context:
            sizes = sizes._replace(context=features)
        if sizes != built:
            raise self._other_sizes(sizes)
        if self.replicas is not None and len(x) != self.replicas:
            raise ValueError(
                f"{self.name} was built for {self.replicas} replicas, so inputs must lead with "
                f"that many, got shape {tuple(x.shape)}"
            )

    def _over_batch(self, name: str, x: Tensor, like: Tensor) -> float | Tensor:
        """Return a per-replica setting in a shape that broadcasts over `K R B units`.

        Raises:
            ValueError: If the input's first axis does not have one entry per replica.
        """
        value: float | Tensor = getattr(self, name)
        if isinstance(value, float):
            return value
        if len(x) != len(value):
            raise ValueError(
                f"{name} holds {len(value)} replicas, so inputs must lead with that many, got "
                f"shape {tuple(x.shape)}"
            )
        return value.to(like.dtype).view(-1, *(1,) * (like.dim() - 2))

    def _validate(self, layers: Sequence[Layer], x: Tensor, objective: PathObjective) -> None:
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        if not x.is_floating_point():
            raise TypeError(f"the input must be floating point, got {x.dtype}")
        if x.ndim < layers[0].input_axes:
            axes = "one axis" if layers[0].input_axes == 1 else f"{layers[0].input_axes} axes"
            raise ValueError(
                f"the input must be `*B inputs` with {axes} of inputs, got shape {tuple(x.shape)}"
            )
        linear = all(layer.has_moments for layer in layers)
        if (reason := self._misfit(len(layers), isinstance(objective, Head), linear)) is not None:
            raise ValueError(reason)


def head_of(request: Request, axes: int) -> Head:
    """Return the objective as one of the last states; of one layer, it always is.

    Args:
        request: Request whose objective is a `Head`, or whose network has one layer.
        axes: Number of axes of the last layer's units.

    Raises:
        ValueError: If the head reads units of another number of axes.
    """
    if isinstance(request.objective, Head):
        if request.objective.axes != axes:
            raise ValueError(
                f"the last layer's units have {axes} axes, but the head reads units of "
                f"{request.objective.axes}; give it axes={axes}"
            )
        return request.objective
    objective, logits = request.objective, request.layers[0](request.x).detach()
    return Head(
        lambda state: objective(Path((state,), (logits.expand_as(state),))),
        axes,
    )


def differentiate_path(
    request: Request,
    path_of: Callable[..., Path],
    points: Sequence[Tensor],
    *,
    differentiable: bool = False,
) -> tuple[Float[Tensor, " K *B"], list[Tensor] | None, Path]:
    """Return a path's losses, their derivatives to some points, and the path.

    The derivatives are None if the losses depend on none of the points.

    Args:
        request: Request of the estimate.
        path_of: Function from the points to the path; a row depends on its own row of the points.
        points: Points to differentiate with respect to, as constants.
        differentiable: Whether the derivatives can be differentiated again.
    """

    def losses_of(*given: Tensor) -> tuple[Tensor, Path]:
        path = path_of(*given)
        return request.losses(path), path

    if is_traced():
        pulled: Any = torch.func.vjp(losses_of, *points, has_aux=True)
        losses, pull_back, path = pulled
        return losses, list(pull_back(torch.ones_like(losses))), path
    with torch.enable_grad():
        leaves = [point.detach().requires_grad_() for point in points]
        losses, path = losses_of(*leaves)
        return losses, _slopes_at(losses, leaves, differentiable), path


def _slopes_at(
    losses: Float[Tensor, " K *B"], points: Sequence[Tensor], differentiable: bool
) -> list[Tensor] | None:
    if not losses.requires_grad:
        return None
    slopes = torch.autograd.grad(
        losses.sum(), points, create_graph=differentiable, allow_unused=True
    )
    if all(slope is None for slope in slopes):
        return None
    pairs = zip(points, slopes, strict=True)
    return [torch.zeros_like(x) if slope is None else slope for x, slope in pairs]


def per_unit(losses: Float[Tensor, " K *B"], units: Tensor) -> Tensor:
    """View a number for each example in a shape that broadcasts over its units."""
    return losses.view(*losses.shape, *(1,) * (units.dim() - losses.dim()))


def mean_losses(losses: Float[Tensor, " K *B"]) -> Float[Tensor, "*B"]:
    """Return the mean over samples."""
    return losses.squeeze(0) if len(losses) == 1 else losses.mean(0)


def first_states(states: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the first sample of every layer's states."""
    return tuple(state[0].detach() for state in states)

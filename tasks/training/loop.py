"""Training loop of tasks that follow gradients; a task adds its mathematics, a `Model`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.base import Estimator
from raysweep.estimators.estimate import Estimate
from raysweep.estimators.method import Method
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import Replica, TrainingSettings, replica_values, resolve_window
from raysweep.tasks.training.optim import SGD, Adam, Optimizer, RAdam, clip_gradients
from raysweep.tasks.training.plateau import Plateau
from raysweep.tasks.training.schedules import Schedules

TUNING_RATE = 10.0  # times the model's: Tucker et al. (2017), arXiv:1703.07370, appendix


class Losses(NamedTuple):
    """Losses and metrics of one step, for every replica and example.

    Args:
        surrogate: Losses `R B`; the model follows their gradient, averaged over examples.
        tuning_loss: Losses `R B`; the estimator's parameters follow their gradient. Or None.
        metrics: Metrics by name, `R` each, detached.
    """

    surrogate: Float[Tensor, "R B"]
    tuning_loss: Float[Tensor, "R B"] | None
    metrics: Mapping[str, Float[Tensor, " R"]]


def beside_expectation(estimate: Estimate, expected: Float[Tensor, " R"]) -> Losses:
    """Return the losses of an estimate, with the loss at its samples beside the exact expectation.

    Args:
        estimate: Estimate for `R B` samples.
        expected: Exact expectation of the loss, detached.
    """
    # NaN logits still give samples: adding 0 times the exact value makes a diverged loss NaN.
    train_loss = torch.add(estimate.value.mean(1), expected, alpha=0)
    metrics = {"train_loss": train_loss, "expected_loss": expected}
    return Losses(estimate.surrogate, estimate.tuning_loss, metrics)


class Observer(Protocol):
    """Observer of the gradients that the model follows, which reports metrics of them."""

    def observe(self, gradients: Mapping[str, Tensor]) -> Mapping[str, Float[Tensor, " R"]]:
        """Return metrics after one more gradient, by parameter name, which must not be modified."""


class Model(nn.Module, ABC):
    """Mathematics of a task: parameters that lead with `R`, and the losses of a step.

    Attributes:
        rates: Setting that holds the learning rate, by name of those parameters that follow plain
            gradient descent instead of the run's optimizer.
        observer: Observer of every gradient, or None.
        largest_norm: Norm to which each replica's larger gradients are scaled, or None.
        schedule: Factors of the learning rates, which the model informs; or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rates: Mapping[str, str] = {}
        self.observer: Observer | None = None
        self.largest_norm: float | None = None
        self.schedule: Plateau | None = None

    @abstractmethod
    def losses(self, step: int, estimator: Any, noise: Noise) -> Losses:
        """Return the losses at a step, counted from 0; `noise` is already at that step."""

    @abstractmethod
    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return final metrics of the current parameters; called without gradients."""

    @abstractmethod
    def select(self, keep: Tensor) -> None:
        """Drop replicas from the parameters and from everything else that leads with `R`."""


class GradientTraining:
    """Pack in training: at every step, the gradient of the model's losses, then one update.

    Replicas cannot mix: the derivative is taken of all replicas' losses at once, and each loss
    depends on its own replica's parameters alone.

    Args:
        model: Model on the device, in its final format.
        estimator: Estimator built for the model, on the same device.
        settings: Settings of the pack; a replica's own values take precedence.
        replicas: Replicas in the order of the axis `R`.
        default_window: Steps that final training metrics average over if settings do not say.
    """

    def __init__(
        self,
        model: Model,
        estimator: Method[Any],
        settings: TrainingSettings,
        replicas: Sequence[Replica],
        default_window: int,
    ) -> None:
        self.step = 0
        self.window = resolve_window(settings, default_window)
        self.model = model
        self.estimator = estimator
        leave_unchecked(estimator)
        self._noise = Noise(seeds=[replica.seed for replica in replicas], purpose="train")
        self._optimizers = {
            rate: _make_rule(rate, parameters, settings, replicas)
            for rate, parameters in self._groups().items()
        }
        self._tuner = _make_tuner(list(estimator.parameters()), settings, replicas)
        self._list_parameters()
        self._schedules = Schedules(estimator, settings, replicas, like=self._parameters[0])

    def advance(self, steps: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Train for some steps; return the metrics' means over them, in float64.

        Raises:
            ValueError: If `steps` is not positive.
        """
        return mean_metrics(steps, self._advance_once)

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return final metrics of the current parameters, in float64; training is unaffected."""
        return {name: value.double() for name, value in self.model.evaluate().items()}

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.model.select(keep)
        if self.model.schedule is not None:
            self.model.schedule.select(keep)
        self.estimator.select(keep)
        self._schedules.select(keep)
        self._noise.select(keep)
        for rate, parameters in self._groups().items():
            self._optimizers[rate].select(keep, list(parameters.values()))
        if self._tuner is not None:
            self._tuner.select(keep, list(self.estimator.parameters()))
        self._list_parameters()

    def state_dict(self) -> dict[str, Any]:
        """Return all that training depends on; tensors are no copies: save or copy them at once."""
        state = {
            "step": self.step,
            "model": dict(self.model.state_dict()),
            "optimizer": {rate: rule.state_dict() for rate, rule in self._optimizers.items()},
            "estimator": dict(self.estimator.state_dict()),
            "tuner": None if self._tuner is None else self._tuner.state_dict(),
        }
        if self.model.schedule is not None:
            state["schedule"] = self.model.schedule.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training with the same settings and replicas."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for rate, rule in self._optimizers.items():
            rule.load_state_dict(state["optimizer"][rate])
        self.estimator.load_state_dict(state["estimator"])
        self._schedules.apply(max(self.step - 1, 0))  # for measurements before the next update
        if self._tuner is not None:
            self._tuner.load_state_dict(state["tuner"])
        if self.model.schedule is not None:
            self.model.schedule.load_state_dict(state["schedule"])

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters by the rule that updates them; `""` is the run's optimizer."""
        groups: dict[str, dict[str, Tensor]] = {"": {}}
        for name, parameter in self.model.named_parameters():
            groups.setdefault(self.model.rates.get(name, ""), {})[name] = parameter
        return groups

    def _list_parameters(self) -> None:
        """List the parameters once, as walking through modules costs more than a small step."""
        self._names = [name for group in self._groups().values() for name in group]
        self._sizes = [len(group) for group in self._groups().values()]
        self._parameters = [p for group in self._groups().values() for p in group.values()]
        self._tuned = list(self.estimator.parameters())
        self._shares = torch.empty(0)

    def _advance_once(self) -> Mapping[str, Float[Tensor, " R"]]:
        self._noise.at(self.step)
        self._schedules.apply(self.step)
        losses = self.model.losses(self.step, self.estimator, self._noise)
        tuning_loss = losses.tuning_loss if self._tuner is not None else None
        gradients = self._gradients(
            losses.surrogate, self._parameters, keep_graph=tuning_loss is not None
        )
        if self._tuner is not None and tuning_loss is not None:
            self._tuner.step(self._gradients(tuning_loss, self._tuned))
        if self.model.largest_norm is not None:
            gradients = clip_gradients(gradients, self.model.largest_norm)
        start = 0
        for rule, size in zip(self._optimizers.values(), self._sizes, strict=True):
            if self.model.schedule is not None:
                rule.scale_rates(self.model.schedule.factors)
            rule.step(gradients[start : start + size])
            start += size
        self.step += 1
        if self.model.observer is None:
            return losses.metrics
        observed = self.model.observer.observe(dict(zip(self._names, gradients, strict=True)))
        return {**losses.metrics, **observed}

    def _gradients(
        self,
        losses: Float[Tensor, "R B"],
        parameters: Sequence[Tensor],
        *,
        keep_graph: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return derivatives of the mean over examples, each replica's by its own parameters."""
        if self._shares.shape != losses.shape:
            self._shares = torch.full_like(losses, 1 / losses.shape[-1])
        return mean_gradients(losses, parameters, self._shares, keep_graph=keep_graph)


def mean_gradients(
    losses: Float[Tensor, "R B"],
    parameters: Sequence[Tensor],
    shares: Float[Tensor, "R B"] | None = None,
    *,
    keep_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Return derivatives of the mean over examples, each replica's by its own parameters.

    Args:
        losses: Losses of every replica and example.
        parameters: Parameters, which lead with `R`; those without influence get zeros.
        shares: One over the number of examples, everywhere; made anew if None.
        keep_graph: Whether the graph is kept for further derivatives.
    """
    if shares is None:
        shares = torch.full_like(losses, 1 / losses.shape[-1])
    return torch.autograd.grad(
        losses,
        parameters,
        shares,
        retain_graph=keep_graph,
        allow_unused=True,
        materialize_grads=True,
    )


def leave_unchecked(estimator: Method[Any]) -> None:
    """Let an estimator not check logits, for which each step would wait for the device.

    Tasks mask no category, and a run that has diverged shows in its metrics.
    """
    if isinstance(estimator, Estimator):
        estimator.validate = False


def mean_metrics(
    steps: int, advance_once: Callable[[], Mapping[str, Float[Tensor, " R"]]]
) -> Mapping[str, Float[Tensor, " R"]]:
    """Train for some steps; return the metrics' means over them, in float64.

    Args:
        steps: Number of steps.
        advance_once: Function that trains for one step and returns the metrics of it.

    Raises:
        ValueError: If `steps` is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    # copies: in float64 two metrics may be one tensor, and both sums would be added to it
    means = {name: value.to(torch.float64, copy=True) for name, value in advance_once().items()}
    if steps == 1:
        return means
    for _ in range(steps - 1):
        for name, value in advance_once().items():
            means[name] += value
    return {name: total.div_(steps) for name, total in means.items()}


def _make_rule(
    rate: str,
    parameters: Mapping[str, Tensor],
    settings: TrainingSettings,
    replicas: Sequence[Replica],
) -> Optimizer:
    """Return the run's optimizer, or gradient descent at the rate that a setting holds."""
    tensors = list(parameters.values())
    if not rate:
        return make_optimizer(tensors, settings, replicas)
    zeros = [0.0] * len(replicas)
    lr = replica_values(rate, settings, replicas)
    return SGD(tensors, {"lr": lr, "weight_decay": zeros, "momentum": zeros})


def make_optimizer(
    parameters: Sequence[Tensor], settings: TrainingSettings, replicas: Sequence[Replica]
) -> Optimizer:
    """Return the update rule that the settings name."""
    kind = OPTIMIZERS[settings.optimizer]
    values = {name: replica_values(name, settings, replicas) for name in kind.setting_names}
    if kind is SGD:
        return SGD(parameters, values, nesterov=settings.nesterov)
    return kind(parameters, values)


OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adam": Adam, "radam": RAdam, "sgd": SGD}


def training_bytes(parameters: int, activations: int, settings: TrainingSettings) -> int:
    """Return the bytes of one replica in training.

    Args:
        parameters: Count of trained numbers, each with its optimizer's state.
        activations: Count of numbers that an update's evaluations hold, each with its gradient.
        settings: Settings with the format and the optimizer.
    """
    itemsize = 8 if settings.dtype == "float64" else 4
    state = 1 + len(OPTIMIZERS[settings.optimizer].moment_names)
    return itemsize * (parameters * state + activations * 2)


def _make_tuner(
    parameters: Sequence[Tensor], settings: TrainingSettings, replicas: Sequence[Replica]
) -> Adam | None:
    """Return Adam for the estimator's own parameters; None if it has none."""
    if not parameters:
        return None
    values = {
        "lr": [
            TUNING_RATE * lr if tuning_lr is None else tuning_lr
            for lr, tuning_lr in zip(
                replica_values("lr", settings, replicas),
                replica_values("tuning_lr", settings, replicas),
                strict=True,
            )
        ],
        "weight_decay": [0.0] * len(replicas),
        "beta1": [0.9] * len(replicas),
        "beta2": replica_values("tuning_beta2", settings, replicas),
        "epsilon": [1e-8] * len(replicas),
    }
    return Adam(parameters, values)

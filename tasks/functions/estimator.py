"""The estimator of a run whose task takes one, with its noise and the training of its parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from raysweep.estimators.method import Method
from raysweep.estimators.noise import Noise
from raysweep.tasks.contract import RestoreError


class RunEstimator:
    """Estimator of one run: `run.estimator`.

    Its random numbers follow from the seed and the step, and its learned parts, if it has any, are
    trained by Adam at the end of each turn of `run.steps`.

    Args:
        method: Estimator with the settings of the row.
        seed: Seed of the run.
        lr: Learning rate of its learned parts.
        beta2: Decay of Adam's second moment.
    """

    def __init__(self, method: Method[Any], seed: int, lr: float, beta2: float) -> None:
        self.method = method
        self._noise = Noise(seed, purpose="train")
        self._noise.at(0)
        self._lr, self._beta2 = lr, beta2
        self._tuner: torch.optim.Optimizer | None = None
        self._gradients: list[Tensor] | None = None

    @property
    def name(self) -> str:
        """Name of the estimator in the registry."""
        return self.method.name

    def build(self, *sizes: Any, **options: Any) -> None:
        """Create its learned parts, as `method.build` does; else the first estimate does."""
        self.method.build(*sizes, **options)  # type: ignore[operator]

    def estimate(self, *inputs: Any, **options: Any) -> Any:
        """Return an estimate: `method.estimate` with all its arguments but the noise.

        The gradient of `surrogate` is for the model; `tuning_loss` is taken care of.
        """
        out = self.method.estimate(*inputs, self._noise, **options)  # type: ignore[operator]
        learned = list(self.method.parameters())
        if out.tuning_loss is not None and learned:
            gradients = torch.autograd.grad(
                out.tuning_loss.mean(),
                learned,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            before = self._gradients or [torch.zeros_like(one) for one in learned]
            self._gradients = [a + b for a, b in zip(before, gradients, strict=True)]
        return out

    def sample(self, logits: Tensor) -> Tensor:
        """Return a one-hot sample that carries the gradient; for pathwise estimators alone."""
        sample: Tensor = self.method.sample(logits, self._noise)  # type: ignore[operator]
        return sample

    def end_turn(self, step: int) -> None:
        """Train the learned parts, and go to the noise of a step."""
        if self._gradients is not None:
            learned = list(self.method.parameters())
            for parameter, gradient in zip(learned, self._gradients, strict=True):
                parameter.grad = gradient
            self._optimizer(learned).step()
            for parameter in learned:
                parameter.grad = None
            self._gradients = None
        self._noise.at(step)

    def _optimizer(self, learned: Sequence[Tensor]) -> torch.optim.Optimizer:
        if self._tuner is None:
            self._tuner = torch.optim.Adam(learned, lr=self._lr, betas=(0.9, self._beta2))
        return self._tuner

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the learned parts, with the sizes that they were built for."""
        built = self.method._built
        return {
            "sizes": None if built is None else dict(built._asdict()),
            "method": dict(self.method.state_dict()),
            "tuner": None if self._tuner is None else self._tuner.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state.

        Raises:
            RestoreError: If it does not fit.
        """
        try:
            if state["sizes"] is not None:
                self.build(**state["sizes"])
            self.method.load_state_dict(state["method"])
            if state["tuner"] is not None:
                self._optimizer(list(self.method.parameters())).load_state_dict(state["tuner"])
        except (ValueError, RuntimeError, TypeError, KeyError) as error:
            text = " ".join(str(error).split())
            raise RestoreError(f"the saved state of the estimator does not fit: {text}") from error

"""Search of cells by updates of a supernet's weights and of the cells' logits, in turn."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raysweep.estimators.base import PathwiseEstimator
from raysweep.estimators.noise import Noise
from raysweep.tasks.base import DTYPES, Replica, replica_values, resolve_window
from raysweep.tasks.nas.cells import by_code, initial_logits, look_up
from raysweep.tasks.nas.images import SearchImages
from raysweep.tasks.nas.settings import NasSettings
from raysweep.tasks.nas.supernet import Supernet, choices
from raysweep.tasks.pauses import pause
from raysweep.tasks.training.classification import accuracy, cross_entropy
from raysweep.tasks.training.layers import select
from raysweep.tasks.training.loop import (
    leave_unchecked,
    make_optimizer,
    mean_gradients,
    mean_metrics,
)
from raysweep.tasks.training.optim import Adam
from raysweep.tasks.training.schedules import Schedules


class Searched(nn.Module):
    """Parameters of a search: the supernet's weights, and the logits of the cells.

    Args:
        settings: Settings of the pack.
        seeds: Seed of each replica.
        device: Device of the parameters.
    """

    theta: Float[Tensor, "R 6 5"]

    def __init__(self, settings: NasSettings, seeds: list[int], device: torch.device) -> None:
        super().__init__()
        dtype = DTYPES[settings.dtype]
        self.net = Supernet(settings.sizes, seeds, dtype, device)
        self.theta = nn.Parameter(initial_logits(seeds, dtype, device))

    @property
    def weights(self) -> list[nn.Parameter]:
        """Weights of the supernet."""
        return list(self.net.parameters())


class Rates:
    """Factors of the learning rates by step: a half cosine from 1 to the last one.

    Args:
        settings: Settings of the pack.
        replicas: Replicas in the order of the axis `R`.
    """

    def __init__(self, settings: NasSettings, replicas: list[Replica]) -> None:
        self._steps = settings.steps
        rates = zip(
            *(replica_values(name, settings, replicas) for name in ("final_lr", "lr")), strict=True
        )
        self._last = torch.tensor([end / start for end, start in rates], dtype=torch.float64)

    def at(self, step: int) -> Float[Tensor, " R"]:
        """Return the factor of each replica's learning rate at a step."""
        share = (1 + math.cos(math.pi * step / self._steps)) / 2
        return self._last + (1 - self._last) * share

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self._last = self._last[keep.cpu()]


class SupernetSearch:
    """Pack of searches: every step updates the weights, then the logits, at two sampled cells.

    A sampled cell is shared by the images of a batch. The weights follow the loss of one cell and
    batch; the logits that of another cell on other images, with the weights just updated.

    Args:
        settings: Settings of the pack; a replica's own values take precedence.
        replicas: Replicas in the order of the axis `R`.
        estimator: Estimator built for the logits, on the same device.
        device: Device of parameters and images.
    """

    def __init__(
        self,
        settings: NasSettings,
        replicas: list[Replica],
        estimator: PathwiseEstimator,
        device: torch.device,
    ) -> None:
        seeds = [replica.seed for replica in replicas]
        self.step = 0
        self.estimator = estimator
        leave_unchecked(estimator)
        self.model = Searched(settings, seeds, device)
        self.images = SearchImages(settings, seeds, device)
        self.window = resolve_window(settings, self.images.steps_per_epoch)
        self._unselected = settings.unselected
        self._accuracies = by_code(settings.looked_up, settings.full, device)
        self._rates = Rates(settings, replicas)
        # A tensor in any pack: a number is divided by, and so rounded, in another way, and what is
        # left of a pack after others ended must not depend on their temperatures.
        self._schedules = Schedules(
            estimator, settings, replicas, self.model.theta, always=("temperature",)
        )
        self._noises = [
            Noise(seeds=seeds, purpose=purpose) for purpose in ("weights", "architecture")
        ]
        self._weight_rule = make_optimizer(self.model.weights, settings, replicas)
        moments = ("lr", "weight_decay", "beta1", "beta2")
        rule = {
            name: replica_values(f"architecture_{name}", settings, replicas) for name in moments
        }
        rule["epsilon"] = [1e-8] * len(replicas)
        self._cell_rule = Adam([self.model.theta], rule)

    def advance(self, steps: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Train for some steps; return the metrics' means over them, in float64.

        Raises:
            ValueError: If `steps` is not positive.
        """
        return mean_metrics(steps, self._advance_once)

    def _advance_once(self) -> Mapping[str, Float[Tensor, " R"]]:
        step, theta = self.step, self.model.theta
        self._schedules.apply(step)
        for noise in self._noises:
            noise.at(step)
        self._weight_rule.scale_rates(self._rates.at(step))
        # NaN logits give a cell, too: adding 0 times their sum makes metrics NaN.
        nothing = 0 * theta.detach().sum((1, 2))
        train = self._update_weights(step)
        architecture = self._update_cells(step)
        self.step += 1
        metrics = {
            "train_loss": train[0],
            "train_accuracy": train[1],
            "architecture_loss": architecture[0],
            "architecture_accuracy": architecture[1],
            "entropy": entropy(theta.detach()),
        }
        return {name: value + nothing for name, value in metrics.items()}

    def _sample(self, noise: Noise) -> Float[Tensor, "R 6 5"]:
        """Draw a cell for each replica, which carries the gradient to the logits."""
        return self.estimator.sample(self.model.theta.unsqueeze(1), noise).squeeze(1)

    def _update_weights(self, step: int) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
        with torch.no_grad():
            chosen = choices(self._sample(self._noises[0]).argmax(-1))
        x, labels = self.images.for_weights(step)
        scores = self.model.net(x, chosen)
        losses = cross_entropy(scores, labels)
        self._weight_rule.step(mean_gradients(losses, self.model.weights))
        return losses.detach().mean(1), accuracy(scores, labels)

    def _update_cells(self, step: int) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
        sample = self._sample(self._noises[1])
        x, labels = self.images.for_architecture(step)
        chosen = choices(sample.detach().argmax(-1))
        scores = self.model.net(x, chosen, sample, self._unselected)
        losses = cross_entropy(scores, labels)
        self._cell_rule.step(mean_gradients(losses, [self.model.theta]))
        return losses.detach().mean(1), accuracy(scores, labels)

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return metrics of the most probable cell, in float64; training is unaffected."""
        theta = self.model.theta
        chosen = choices(theta.argmax(-1))
        losses, right = [], []
        for x, labels in self.images.evaluated(len(theta)):
            pause()
            scores = self.model.net(x, chosen)
            losses.append(cross_entropy(scores, labels).double())
            right.append((scores.argmax(-1) == labels).double())
        loss = torch.cat(losses, 1).mean(1) + 0 * theta.sum((1, 2))
        return {
            "final_architecture_loss": loss,
            "final_architecture_accuracy": torch.cat(right, 1).mean(1) + 0 * loss,
            "final_entropy": entropy(theta).double(),
            **look_up(theta, self._accuracies),
        }

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        select(self.model, keep)
        self.images.select(keep)
        self.estimator.select(keep)
        self._schedules.select(keep)
        self._rates.select(keep)
        for noise in self._noises:
            noise.select(keep)
        self._weight_rule.select(keep, self.model.weights)
        self._cell_rule.select(keep, [self.model.theta])

    def state_dict(self) -> dict[str, Any]:
        """Return all that training depends on; tensors are no copies: save or copy them at once."""
        return {
            "step": self.step,
            "model": dict(self.model.state_dict()),
            "optimizer": {
                "weights": self._weight_rule.state_dict(),
                "architecture": self._cell_rule.state_dict(),
            },
            "estimator": dict(self.estimator.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training with the same settings and replicas."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self._weight_rule.load_state_dict(state["optimizer"]["weights"])
        self._cell_rule.load_state_dict(state["optimizer"]["architecture"])
        self.estimator.load_state_dict(state["estimator"])


def entropy(theta: Float[Tensor, "R 6 5"]) -> Float[Tensor, " R"]:
    """Return the mean entropy of the edges' operations, in nats."""
    logs = theta.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1).mean(-1)

"""Training of networks along a gradient other than the measured one, the same for every method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from raysweep.tasks.base import Replica, replica_values
from raysweep.tasks.sbn.measurement import Measurement, Subject
from raysweep.tasks.sbn.points_model import PointsModel, joined
from raysweep.tasks.sbn.quality_settings import SbnGradientQualitySettings
from raysweep.tasks.training.loop import OPTIMIZERS, GradientTraining, mean_metrics


class PointsTraining(NamedTuple):
    """Network of one replica, in training.

    Args:
        model: Network of the replica, of R = 1.
        training: Training of it.
    """

    model: PointsModel
    training: GradientTraining


class ReferenceTraining:
    """Pack whose replicas share a network if they have one seed and one update rule.

    Every network is trained alone: in a pack, numbers depend on their position in the last bit,
    which grows in training until it moves a sample.

    Args:
        measurement: Measurement of the replicas.
        settings: Settings of the pack; a replica's own values take precedence.
        replicas: Replicas in the order of the axis `R`.
        train: Function that starts the training of the network of one replica.
    """

    def __init__(
        self,
        measurement: Measurement,
        settings: SbnGradientQualitySettings,
        replicas: Sequence[Replica],
        train: Callable[[Replica], PointsTraining],
    ) -> None:
        self.step = 0
        self.measurement = measurement
        names = OPTIMIZERS[settings.optimizer].setting_names
        rules = zip(*(replica_values(name, settings, replicas) for name in names), strict=True)
        self._keys = [(one.seed, *rule) for one, rule in zip(replicas, rules, strict=True)]
        self._networks: dict[tuple[Any, ...], PointsTraining] = {}
        for key, replica in zip(self._keys, replicas, strict=True):
            if key not in self._networks:
                self._networks[key] = train(replica)
        self._index()
        self.window = self._trainings[0].window

    def advance(self, steps: int) -> Mapping[str, Float[Tensor, " R"]]:
        """Train for some steps; return the metrics' means over them, in float64.

        Raises:
            ValueError: If `steps` is not positive.
        """
        return mean_metrics(steps, self._advance_once)

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, Float[Tensor, " R"]]:
        """Return the measurement after the last update, in float64; training is unaffected."""
        measured = self.measurement.last(self._subject())
        return {name: value.double() for name, value in measured.items()}

    def select(self, keep: Tensor) -> None:
        """Drop replicas; `keep` is a boolean mask or indices over the current ones."""
        self.measurement.select(keep)
        self.measurement.estimator.select(keep)
        rows = keep.nonzero().flatten() if keep.dtype == torch.bool else keep
        self._keys = [self._keys[row] for row in rows.tolist()]
        self._networks = {key: self._networks[key] for key in dict.fromkeys(self._keys)}
        self._index()

    def state_dict(self) -> dict[str, Any]:
        """Return all that training depends on; tensors are no copies: save or copy them at once."""
        return {
            "step": self.step,
            "networks": [training.state_dict() for training in self._trainings],
            "measurement": dict(self.measurement.state_dict()),
            "estimator": dict(self.measurement.estimator.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a training with the same settings and replicas.

        Raises:
            ValueError: If the state is of another number of networks.
        """
        for training, one in zip(self._trainings, state["networks"], strict=True):
            training.load_state_dict(one)
        self.measurement.load_state_dict(state["measurement"])
        self.measurement.estimator.load_state_dict(state["estimator"])
        self.step = state["step"]

    def _index(self) -> None:
        """List the networks, and the row of every replica's network among them."""
        self._models = [one.model for one in self._networks.values()]
        self._trainings = [one.training for one in self._networks.values()]
        number = {key: row for row, key in enumerate(self._networks)}
        device = self._models[0].head.bias.device
        self._rows = torch.tensor([number[key] for key in self._keys], device=device)

    def _advance_once(self) -> Mapping[str, Float[Tensor, " R"]]:
        measured = self.measurement.during(self.step, self._subject)
        trained = [training.advance(1) for training in self._trainings]
        self.step += 1
        of_networks = {name: torch.cat([one[name] for one in trained]) for name in trained[0]}
        return {**{name: value[self._rows] for name, value in of_networks.items()}, **measured}

    def _subject(self) -> Subject:
        networks = [model.network() for model in self._models]
        return Subject(networks, joined(self._models, self._rows), self._rows)

"""The settings that control variates at relaxed samples share, in every family."""

from typing import Any, TypeVar

from torch import Tensor

from raysweep.estimators.estimate import flag
from raysweep.estimators.learned import Scalar
from raysweep.estimators.method import Method

Sizes = TypeVar("Sizes")


class RelaxedControlSettings(Method[Sizes]):
    """A method with a control variate at relaxed samples, of a temperature and a weight.

    Attributes:
        temperature: Temperature of the relaxation, its initial value if learned.
        eta: Weight of the control variate, its initial value if learned.
        learn_eta: Whether the control variate's weight is learned.
        learn_temperature: Whether the relaxation's temperature is learned.
    """

    unbiased = True
    needs_gradient = True
    per_replica = frozenset({"temperature", "eta"})
    temperature: float | Tensor
    eta: float | Tensor

    def __init__(
        self,
        *,
        temperature: float | Tensor,
        eta: float | Tensor,
        learn_temperature: bool,
        learn_eta: bool,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._keep("temperature", temperature)
        self._keep_eta(eta, learn_eta)
        self.learn_temperature = flag("learn_temperature", learn_temperature)
        self.learn_eta = flag("learn_eta", learn_eta)
        self.learned_temperature: Scalar | None = None

    def _build_temperature(self, replicas: int | None) -> None:
        """Create the learned temperature, if it is learned."""
        if self.learn_temperature:
            self.learned_temperature = Scalar(self.temperature, replicas, "positive")

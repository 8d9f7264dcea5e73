"""The settings that control variates share in every family."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from raysweep.estimators.estimate import flag, sample_count
from raysweep.estimators.learned import Baseline, Scalar
from raysweep.estimators.method import Method

Sizes = TypeVar("Sizes")


class WeightedControl(Method[Sizes]):
    """A method whose control variate has a weight, which may be learned.

    Attributes:
        eta: Weight of the control variate, its initial value if learned.
        learn_eta: Whether the weight is learned.
    """

    eta: float | Tensor
    learn_eta: bool

    def set_eta(self, eta: float | Tensor) -> None:
        """Change the weight, for example along a schedule.

        Args:
            eta: The weight, or a tensor `R` of one for each replica.

        Raises:
            ValueError: If the weight is learned, not finite, or 0 from the start.
            TypeError: If it is neither a number nor a tensor.
        """
        self._refuse_learned("eta", self.learn_eta)
        if (reason := self._eta_refusal()) is not None:
            raise ValueError(reason)
        self._keep_eta(eta, self.learn_eta)

    def _eta_refusal(self) -> str | None:
        """Return a subclass's reason why its weight cannot change, or None."""
        return None


class ExpansionSettings(WeightedControl[Sizes]):
    """A method with a first-order expansion as control variate, and a baseline network.

    Attributes:
        constant: Whether to use the loss at the mean-field point.
        linear: Whether to use its gradient there.
        eta: Weight of the parts, its initial value if learned.
        learn_eta: Whether the weights are learned.
        hidden: Number of units of the baseline network.
        constant_weight: Learned weight of the constant part, or None.
        linear_weight: Learned weight of the linear part, or one for each layer, or None.
        baseline: Baseline network, or None.
    """

    unbiased = True
    needs_gradient = True
    per_replica = frozenset({"eta"})
    linear_weight: nn.Module | None

    def __init__(
        self,
        *,
        samples: int = 1,
        constant: bool = True,
        linear: bool = True,
        eta: float | Tensor = 1.0,
        learn_eta: bool = True,
        baseline: bool = False,
        hidden: int = 100,
    ) -> None:
        super().__init__(samples=samples)
        if not (constant or linear):
            raise ValueError("muprop needs its constant or its linear part, got neither")
        self.constant, self.linear = flag("constant", constant), flag("linear", linear)
        self.learn_eta = flag("learn_eta", learn_eta)
        self._keep_eta(eta, learn_eta)
        self.needs_gradient = linear
        self.reads_context = self.needs_context = flag("baseline", baseline)
        self.hidden = sample_count(hidden, quantity="hidden")
        self.constant_weight: Scalar | None = None
        self.linear_weight = None
        self.baseline: Baseline | None = None

    def _build_parts(
        self, context: int | None, replicas: int | None, weigh: Callable[[], nn.Module]
    ) -> None:
        """Create the learned parts.

        Args:
            context: Number of features of the context, or None.
            replicas: R of the learned parts, or None.
            weigh: Function that creates the weight of the linear part.
        """
        if self.learn_eta and self.constant:
            self.constant_weight = Scalar(self.eta, replicas, "eta")
        if self.learn_eta and self.linear:
            self.linear_weight = weigh()
        if self.reads_context and context is not None:
            self.baseline = Baseline(context, self.hidden, replicas, self.name)


class RelaxedControlSettings(WeightedControl[Sizes]):
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

    def set_temperature(self, temperature: float | Tensor) -> None:
        """Change the temperature, for example along a schedule.

        Args:
            temperature: The temperature, or a tensor `R` of one for each replica.

        Raises:
            ValueError: If the temperature is learned, or one is out of range.
            TypeError: If it is neither a number nor a tensor.
        """
        self._refuse_learned("temperature", self.learn_temperature)
        self._keep("temperature", temperature)

    def _build_temperature(self, replicas: int | None) -> None:
        """Create the learned temperature, if it is learned."""
        if self.learn_temperature:
            self.learned_temperature = Scalar(self.temperature, replicas, "positive")

"""Points that Optuna's random sampler draws, without a sampler and a trial for each of them.

Every configuration has a seed of its own, so that its values depend on nothing else. To create a
sampler of Optuna for it takes longer than to draw, so one generator is seeded again and again.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from raysweep.search.distributions import decoder, distribution, parameter, parameters
from raysweep.sweep.space import Value
from raysweep.sweep.spec import Arm

NOTHING: Mapping[str, Any] = {}


class RandomPoints:
    """Random points of an arm's space, each a function of its seed alone.

    They are those that trials of Optuna with a `RandomSampler` of these seeds would have, bit for
    bit, as the ids of runs follow from them.

    Args:
        arm: Arm whose space is searched.
    """

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._random = np.random.RandomState()
        named = {name: one for key in arm.searched for name, one in parameters(arm, key).items()}
        self._decode = {name: decoder(domain) for name, domain in named.items()}
        self._draws = {
            name: _Draw.of(distribution(domain), self._decode[name])
            for name, domain in named.items()
        }
        self._lows = _joined([draw.lows for draw in self._draws.values()])
        self._highs = _joined([draw.highs for draw in self._draws.values()])
        self._is_plain = not arm.conditional

    def point(self, seed: int, given: Mapping[str, Any] = NOTHING) -> dict[str, Value]:
        """Return the point of a seed.

        Args:
            seed: Seed of the point, from 0 to 2^32 - 1.
            given: Optuna's values of parameters that are not drawn, by name.
        """
        self._random.seed(seed)
        return self._by_condition(given) if given or not self._is_plain else self._at_once()

    def _at_once(self) -> dict[str, Value]:
        """Return a point of a space without conditions, whose numbers are drawn in one call."""
        numbers = self._random.uniform(self._lows, self._highs).tolist()
        point: dict[str, Value] = {}
        start = 0
        for name, draw in self._draws.items():  # the parameters have the names of the settings
            end = start + len(draw.lows)
            point[name] = draw.value(numbers[start:end])
            start = end
        return point

    def _by_condition(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return a point of any space, one setting after the other."""
        point: dict[str, Value] = {}
        for key in self._arm.searched:
            if self._arm.applies(key, point):
                name, _ = parameter(self._arm, key, point)
                if name in given:
                    point[key] = self._decode[name](given[name])
                else:
                    point[key] = self._draws[name].from_(self._random)
        return point


@dataclasses.dataclass(frozen=True)
class _Draw:
    """Draw of a parameter from uniform numbers, in the way of Optuna.

    Args:
        lows: Low end of each number that is drawn; none where the parameter has one value.
        highs: High end of each number.
        value: Function that returns the value of a setting for the numbers.
    """

    lows: Sequence[float]
    highs: Sequence[float]
    value: Callable[[Sequence[float]], Any]

    def from_(self, random: np.random.RandomState) -> Any:
        """Return the value that the next numbers of a generator give."""
        return self.value(random.uniform(_joined([self.lows]), _joined([self.highs])).tolist())

    @classmethod
    def of(cls, over: BaseDistribution, decode: Callable[[Any], Value]) -> "_Draw":
        """Return the draw of a distribution.

        Args:
            over: Distribution of Optuna's values.
            decode: Function that returns the value of a setting for Optuna's.
        """
        match over:
            case CategoricalDistribution(choices=choices):
                single, draw = choices[0], _choice([decode(choice) for choice in choices])
            case IntDistribution(low=low):
                single, draw = low, _whole_number(over)
            case FloatDistribution(low=low):
                single, draw = low, _number(over, decode)
            case _:
                raise ValueError(f"expected a distribution of Optuna, got {over}")
        value = decode(single)
        return cls((), (), lambda _: value) if over.single() else draw


def _choice(choices: Sequence[Value]) -> _Draw:
    """Return the draw of a choice: that with the largest number, of equal ones the first."""
    count = len(choices)
    return _Draw((0.0,) * count, (1.0,) * count, lambda n: choices[n.index(max(n))])


def _whole_number(over: IntDistribution) -> _Draw:
    low, high, step = over.low, over.high, over.step
    half = 0.5 * step
    if over.log:
        ends = math.log(low - half), math.log(high + half)
        return _Draw(ends[:1], ends[1:], lambda n: min(max(round(math.exp(n[0])), low), high))

    def value(numbers: Sequence[float]) -> int:
        index = math.floor((numbers[0] - low) / step + 0.5)
        return min(max(index * step + low, low), high)

    return _Draw((low - half,), (high + half,), value)


def _number(over: FloatDistribution, decode: Callable[[Any], Value]) -> _Draw:
    low, high, step = over.low, over.high, over.step
    below_high = float(np.nextafter(high, high - 1))
    if over.log:
        ends = math.log(low), math.log(high)
        return _Draw(ends[:1], ends[1:], lambda n: min(max(math.exp(n[0]), low), below_high))
    if step is None:
        return _Draw((low,), (high,), lambda n: min(n[0], below_high))
    half = 0.5 * step

    def value(numbers: Sequence[float]) -> Value:
        return decode(min(max(round((numbers[0] - low) / step) * step + low, low), high))

    return _Draw((low - half,), (high + half,), value)


def _joined(ends: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    return np.array([end for several in ends for end in several], dtype=np.float64)

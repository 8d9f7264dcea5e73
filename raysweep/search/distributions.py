"""The values of a setting in Optuna's terms, and back."""

import json
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from raysweep.space import Choice, Domain, Range, Value


def distribution(domain: Domain) -> BaseDistribution:
    """What a search may draw: a choice or a range.

    Raises:
        ValueError: If the domain is one value, which nothing draws.
    """
    match domain:
        case Choice(values):
            return CategoricalDistribution([to_optuna(value, domain) for value in values])
        case Range(low, high, log, True):
            return IntDistribution(int(low), int(high), log=log)
        case Range(low, high, log, _):
            return FloatDistribution(low, high, log=log)
    raise ValueError(f"expected a choice or a range, got {domain}")


def to_optuna(value: Value, domain: Domain) -> Any:
    """The value as Optuna holds it: JSON text where it could not tell a choice's values apart."""
    if not isinstance(domain, Choice):
        return value
    return value if _plain(domain) else json.dumps(value)


def from_optuna(value: Any, domain: Domain) -> Value:
    """The domain's value that `to_optuna` made this one of."""
    if not isinstance(domain, Choice) or _plain(domain):
        return value
    return next(each for each in domain.values if json.dumps(each) == value)


def _plain(choice: Choice) -> bool:
    """Whether Optuna can hold the values as they are, and tell them apart."""
    kinds = {type(value) for value in choice.values}
    return len(kinds) == 1 and kinds <= {bool, int, float, str}

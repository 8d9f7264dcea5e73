"""Conversion between values of a sweep file and values of Optuna."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from raysweep.sweep.space import Choice, Domain, Range, Value

Direction = Literal["minimize", "maximize"]
DIRECTIONS: Mapping[str, Direction] = {"min": "minimize", "max": "maximize"}


def distribution(domain: Domain) -> BaseDistribution:
    """Return Optuna's distribution over a choice or a range."""
    match domain:
        case Choice(values):
            return CategoricalDistribution([to_optuna(value, domain) for value in values])
        case Range(low, high, log, True):
            return IntDistribution(int(low), int(high), log=log)
        case Range(low, high, log, _):
            return FloatDistribution(low, high, log=log)
    raise ValueError(f"expected a choice or a range, got {domain}")


def suggest(trial: Trial, key: str, domain: Domain) -> Value:
    """Return the value that a trial proposes for a setting."""
    match domain:
        case Choice(values):
            options = [to_optuna(value, domain) for value in values]
            return from_optuna(trial.suggest_categorical(key, options), domain)
        case Range(low, high, log, True):
            return trial.suggest_int(key, int(low), int(high), log=log)
        case Range(low, high, log, _):
            return trial.suggest_float(key, low, high, log=log)
    raise ValueError(f"expected a choice or a range, got {domain}")


def corner(domain: Domain) -> Any:
    """Return the first choice or the low end, as Optuna's value."""
    match domain:
        case Choice(values):
            return to_optuna(values[0], domain)
        case Range(low, _, _, whole):
            return int(low) if whole else low
    raise ValueError(f"expected a choice or a range, got {domain}")


def to_optuna(value: Value, domain: Domain) -> Any:
    """Convert a value to Optuna's; a value that Optuna cannot hold becomes JSON text."""
    if not isinstance(domain, Choice):
        return value
    return value if _plain(domain) else json.dumps(value)


def from_optuna(value: Any, domain: Domain) -> Value:
    """Convert a value of `to_optuna` back."""
    if not isinstance(domain, Choice) or _plain(domain):
        return value
    return next(choice for choice in domain.values if json.dumps(choice) == value)


def _plain(choice: Choice) -> bool:
    """Check whether Optuna can hold the values as they are, and distinguish them."""
    kinds = {type(value) for value in choice.values}
    return len(kinds) == 1 and kinds <= {bool, int, float, str}

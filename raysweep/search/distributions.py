"""Conversion between values of a sweep file and values of Optuna."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from raysweep.sweep.space import Branches, Choice, Domain, Fixed, Range, Value
from raysweep.sweep.spec import Arm

Direction = Literal["minimize", "maximize"]
DIRECTIONS: Mapping[str, Direction] = {"min": "minimize", "max": "maximize"}


def parameters(arm: Arm, key: str) -> dict[str, Choice | Range]:
    """Return Optuna's parameters of a searched setting, by name: one, or one for each branch.

    Optuna needs the same domain at every trial, so branches are parameters of their own.
    """
    domain = arm.space[key]
    if not isinstance(domain, Branches):
        return {key: arm.domain(key)}
    return {
        f"{key}[{index}]": case.domain
        for index, case in enumerate(domain.cases)
        if not isinstance(case.domain, Fixed)
    }


def parameter(arm: Arm, key: str, chosen: Mapping[str, Value]) -> tuple[str, Choice | Range]:
    """Return Optuna's parameter of a searched setting at a point where it applies.

    Args:
        arm: Arm whose space is searched.
        key: Key of the setting, `section.name`.
        chosen: Values of the settings before it in the arm's `searched`.
    """
    named = parameters(arm, key)
    name = f"{key}[{arm.points.case(key, chosen)}]" if key not in named else key
    return name, named[name]


def distribution(domain: Domain) -> BaseDistribution:
    """Return Optuna's distribution over a choice or a range."""
    match domain:
        case Choice(values):
            return CategoricalDistribution([to_optuna(value, domain) for value in values])
        case Range(low, high, log, True, step):
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        case Range(low, high, log, _, step):
            return FloatDistribution(low, high, log=log, step=step)
    raise ValueError(f"expected a choice or a range, got {domain}")


def suggest(trial: Trial, key: str, domain: Domain) -> Value:
    """Return the value that a trial proposes for a setting."""
    match domain:
        case Choice(values):
            options = [to_optuna(value, domain) for value in values]
            return from_optuna(trial.suggest_categorical(key, options), domain)
        case Range(low, high, log, True, step):
            return trial.suggest_int(key, int(low), int(high), log=log, step=int(step or 1))
        case Range(low, high, log, _, step):
            return domain.nearest(trial.suggest_float(key, low, high, log=log, step=step))
    raise ValueError(f"expected a choice or a range, got {domain}")


def decoder(domain: Choice | Range) -> Callable[[Any], Value]:
    """Return the function that converts Optuna's values of a domain, as `suggest` does."""
    match domain:
        case Choice(values):
            return {to_optuna(value, domain): value for value in reversed(values)}.__getitem__
        case Range(whole=True):
            return int
        case Range(step=None):
            return float
    return domain.nearest


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

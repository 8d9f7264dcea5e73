"""Domains of settings: one value, a choice, a range, or one of these under a condition."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Union

Value = Any


@dataclasses.dataclass(frozen=True)
class Fixed:
    """One value."""

    value: Value

    def contains(self, value: Value) -> bool:
        """Check whether the value is this one."""
        return same(value, self.value)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values, in the file's order."""

    values: tuple[Value, ...]

    def contains(self, value: Value) -> bool:
        """Check whether the value is one of the choices."""
        return any(same(value, choice) for choice in self.values)


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Args:
        low: Smallest number of the range.
        high: Largest number of the range.
        log: Whether samplers draw on a logarithmic scale.
        whole: Whether the numbers are whole.
        step: Distance between neighbours, which divides the range; None for every number.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None

    def contains(self, value: Value) -> bool:
        """Check whether the number lies in the range, and on its steps."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        inside = self.low <= value <= self.high and (not self.whole or value == int(value))
        return inside and (self.step is None or self.nearest(value) == value)

    def nearest(self, value: float) -> float:
        """Return the number of the range that is nearest to a number inside it."""
        if self.step is not None:
            return self.at(round((value - self.low) / self.step))
        return int(value) if self.whole else float(value)

    def at(self, index: int) -> float:
        """Return the number that many steps above the low end, with no more digits than the step.

        In binary arithmetic 0.1 + 2 · 0.1 is not 0.3, and so another run.
        """
        number = _decimal(self.low) + index * _decimal(self.step or 1)
        return int(number) if self.whole else float(number)

    @property
    def count(self) -> int | None:
        """Number of values; None if there are infinitely many."""
        if self.step is None and not self.whole:
            return None
        return int((_decimal(self.high) - _decimal(self.low)) // _decimal(self.step or 1)) + 1


Plain = Fixed | Choice | Range


@dataclasses.dataclass(frozen=True)
class Conditional:
    """Domain that applies where other settings have certain values; elsewhere, one value.

    Args:
        when: Values of other settings, by key `section.name`; each setting must have one of them.
        domain: Domain of the setting where the condition holds.
        otherwise: Value of the setting elsewhere.
    """

    when: Mapping[str, tuple[Value, ...]]
    domain: Plain
    otherwise: Value


@dataclasses.dataclass(frozen=True)
class Branches:
    """Domains under conditions, of which the first applies that holds; elsewhere, one value.

    Args:
        cases: Domains with their conditions; the last one may have an empty condition, which
            always holds.
        otherwise: Value of the setting where no condition holds.
    """

    cases: tuple[Conditional, ...]
    otherwise: Value


Domain = Plain | Conditional | Branches


def cases(domain: Domain) -> tuple[Conditional, ...]:
    """Return the conditions of a domain, with their domains; none if it has no condition."""
    if isinstance(domain, Branches):
        return domain.cases
    return (domain,) if isinstance(domain, Conditional) else ()


def conditions(domain: Domain) -> list[str]:
    """Return the keys of the settings that the conditions of a domain name, each once."""
    return list(dict.fromkeys(key for case in cases(domain) for key in case.when))


def alternatives(domain: Domain) -> list[Plain]:
    """Return the domains that a setting may have, and its value where no condition holds."""
    if not isinstance(domain, Conditional | Branches):
        return [domain]
    inside = [case.domain for case in cases(domain)]
    always = not cases(domain)[-1].when
    return inside if always else [*inside, Fixed(domain.otherwise)]


def plain(domain: Domain) -> Plain:
    """Return the domain without its conditions; of branches, a domain that covers all of them."""
    if isinstance(domain, Branches):
        return hull([case.domain for case in domain.cases])
    return domain.domain if isinstance(domain, Conditional) else domain


def hull(domains: Sequence[Plain]) -> Plain:
    """Return a domain that has every value of these: all choices, or a range over all numbers."""
    ranges = [domain for domain in domains if isinstance(domain, Range)]
    listed: list[Value] = []
    for domain in domains:
        if not isinstance(domain, Range):
            listed += [v for v in values(domain) if not any(same(v, other) for other in listed)]
    if not ranges:
        return Fixed(listed[0]) if len(listed) == 1 else Choice(tuple(listed))
    if not listed and all(domain == ranges[0] for domain in ranges):
        return ranges[0]
    whole = all(domain.whole for domain in ranges) and all(value == int(value) for value in listed)
    low = min([domain.low for domain in ranges] + listed)
    high = max([domain.high for domain in ranges] + listed)
    return Range(low, high, low > 0 and all(domain.log for domain in ranges), whole)


def values(domain: Plain) -> Sequence[Value]:
    """Return every value of a finite domain, in order.

    Raises:
        ValueError: If the domain is infinite.
    """
    match domain:
        case Fixed(value):
            return (value,)
        case Choice(several):
            return several
        case Range(low, high, _, True, step):
            return range(int(low), int(high) + 1, int(step or 1))
        case Range(count=int(number)):
            return [domain.at(index) for index in range(number)]
    raise ValueError(f"expected a finite choice, got {domain}")


def count(domain: Plain) -> int | None:
    """Return the number of values in a domain; None if it is infinite."""
    return domain.count if isinstance(domain, Range) else len(values(domain))


def first(domain: Plain) -> Value:
    """Return the first value of a domain, or its low end."""
    if isinstance(domain, Range):
        return member(domain, domain.low)
    return values(domain)[0]


def same(a: Value, b: Value) -> bool:
    """Compare two values: `True` differs from `1`, and a list equals a tuple of its items."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def member(domain: Plain, value: Value) -> Value:
    """Return the domain's value that equals this one, so that `1` becomes `1.0`."""
    match domain:
        case Fixed(fixed):
            return fixed
        case Choice(choices):
            return next(choice for choice in choices if same(choice, value))
    return domain.nearest(value)


def canonical(domain: Domain, value: Value) -> Value:
    """Return the value that equals this one, of the first alternative that has it."""
    inside = next((one for one in alternatives(domain) if one.contains(value)), plain(domain))
    return member(inside, value)


def to_json(domain: Domain) -> dict[str, Any]:
    """Return the domain as plain data, which `from_json` reads."""
    match domain:
        case Fixed(value):
            return {"value": value}
        case Choice(several):
            return {"choice": list(several)}
        case Range(low, high, log, whole, step):
            ends = {"low": low, "high": high, "log": log, "whole": whole}
            return ends if step is None else {**ends, "step": step}
        case Conditional(when, inside, otherwise):
            wanted = {key: list(several) for key, several in when.items()}
            return {"when": wanted, "otherwise": otherwise, **to_json(inside)}
        case Branches(branches, otherwise):
            return {"branches": [to_json(case) for case in branches], "otherwise": otherwise}


def from_json(data: dict[str, Any]) -> Domain:
    """Return the domain that `to_json` wrote."""
    if "branches" in data:
        branches = (from_json(case) for case in data["branches"])
        return Branches(
            tuple(case for case in branches if isinstance(case, Conditional)), data["otherwise"]
        )
    if "when" not in data:
        return _plain_from_json(data)
    when = {key: tuple(wanted) for key, wanted in data["when"].items()}
    return Conditional(when, _plain_from_json(data), data["otherwise"])


def _plain_from_json(data: dict[str, Any]) -> Plain:
    if "value" in data:
        return Fixed(data["value"])
    if "choice" in data:
        return Choice(tuple(data["choice"]))
    return Range(data["low"], data["high"], data["log"], data["whole"], data.get("step"))


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def coerce(value: Value, declared: Any) -> Value:
    """Convert a value to the declared type of its setting; sequences become tuples.

    Args:
        value: Value in the sweep file, as plain data.
        declared: A type annotation: `bool`, `int`, `float`, `str`, `None`, `Literal`,
            `tuple[T, ...]`, or a union of these.

    Raises:
        ValueError: If the value does not fit; the message says what was expected and given.
    """
    for member in _members(declared):
        try:
            return _coerce_to(value, member)
        except ValueError:
            continue
    raise ValueError(f"expected {describe(declared)}, got {_shown(value)}")


def describe(declared: Any) -> str:
    """Return the name of a type annotation in a user's words."""
    return " or ".join(_describe_member(member) for member in _members(declared))


def _members(declared: Any) -> tuple[Any, ...]:
    """Return the members of a union, ordered so that a value keeps its type: `bool` first."""
    if typing.get_origin(declared) not in (Union, types.UnionType):
        return (declared,)
    rank = {bool: 0, int: 1, float: 2}
    return tuple(sorted(typing.get_args(declared), key=lambda member: rank.get(member, 3)))


def _coerce_to(value: Value, declared: Any) -> Value:
    """Convert a value to one plain type.

    Raises:
        ValueError: If the value does not fit.
    """
    origin = typing.get_origin(declared)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if origin is Literal:
        allowed = typing.get_args(declared)
        if any(same(value, option) and type(value) is type(option) for option in allowed):
            return value
    elif origin in (tuple, list) and isinstance(value, list | tuple):
        item_type = typing.get_args(declared)[0]
        return tuple(_coerce_to(item, item_type) for item in value)
    elif declared in (int, float) and is_number and math.isfinite(value):
        if declared is float:
            return float(value) + 0.0  # minus zero would give another identity
        if value == int(value):
            return int(value)
    elif declared in (bool, str, type(None)) and isinstance(value, declared):
        return value
    raise ValueError(declared)


def _describe_member(declared: Any) -> str:
    origin = typing.get_origin(declared)
    if origin is Literal:
        return " or ".join(repr(value) for value in typing.get_args(declared))
    if origin in (tuple, list):
        item = describe(typing.get_args(declared)[0])
        return f"a list in the form {{value: [...]}}, with {item} for each item"
    if declared in (None, type(None)):
        return "null"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(declared, str(declared))


def _shown(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else str(value)

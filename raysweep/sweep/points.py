"""Points of a space, in which a setting may apply only beside certain values of others."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping

from raysweep.sweep.space import (
    Branches,
    Choice,
    Conditional,
    Domain,
    Fixed,
    Plain,
    Range,
    Value,
    alternatives,
    cases,
    conditions,
    count,
    first,
    plain,
    same,
    values,
)

NOTHING: Mapping[str, Value] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """Points of a space.

    A point is an assignment: a value for each searched setting that applies there. All other
    settings follow from it.

    Args:
        space: Domain of each setting; conditions name settings of the space, without a cycle.
    """

    space: Mapping[str, Domain]

    @functools.cached_property
    def searched(self) -> dict[str, Choice | Range]:
        """Settings with several values, each after the settings that its conditions name.

        A setting with branches has a domain here that covers all of them.
        """
        domains = {key: plain(self.space[key]) for key in ordered(self.space) if self._varies(key)}
        return {key: domain for key, domain in domains.items() if not isinstance(domain, Fixed)}

    def _varies(self, key: str) -> bool:
        """Check whether a setting may have several values at some point, others being the same."""
        return not all(isinstance(domain, Fixed) for domain in alternatives(self.space[key]))

    @functools.cached_property
    def size(self) -> int | None:
        """Number of points; None if a range makes it infinite."""
        deciding = {key for domain in self.space.values() for key in conditions(domain)}
        rest = [key for key in self.searched if key not in deciding]
        total = 0
        for chosen in self.over(deciding):
            sizes = [count(self.domain(key, chosen)) for key in rest]
            if None in sizes:
                return None
            total += math.prod(size for size in sizes if size is not None)
        return total

    def case(self, key: str, chosen: Mapping[str, Value]) -> int | None:
        """Return the index of the first of a setting's conditions that holds; None if none does.

        Args:
            key: Key of the setting, `section.name`.
            chosen: Values of the searched settings that its conditions depend on and that apply.
        """
        for index, case in enumerate(cases(self.space[key])):
            if all(
                any(same(self.value(other, chosen), value) for value in wanted)
                for other, wanted in case.when.items()
            ):
                return index
        return None

    def applies(self, key: str, chosen: Mapping[str, Value]) -> bool:
        """Check whether a setting applies: it has no condition, or its condition holds.

        A setting with branches applies where it has several values.

        Args:
            key: Key of the setting, `section.name`.
            chosen: Values of the searched settings that its condition depends on and that apply.
        """
        domain = self.space[key]
        if isinstance(domain, Branches):
            return not isinstance(self.domain(key, chosen), Fixed)
        return not isinstance(domain, Conditional) or self.case(key, chosen) is not None

    def domain(self, key: str, chosen: Mapping[str, Value]) -> Plain:
        """Return the domain of a setting at a point: where no condition holds, one value."""
        domain = self.space[key]
        if not isinstance(domain, Conditional | Branches):
            return domain
        index = self.case(key, chosen)
        return Fixed(domain.otherwise) if index is None else cases(domain)[index].domain

    def value(self, key: str, chosen: Mapping[str, Value]) -> Value:
        """Return the value of a setting at a point."""
        domain = self.domain(key, chosen)
        return domain.value if isinstance(domain, Fixed) else chosen[key]

    def over(self, keys: Iterable[str]) -> Iterator[dict[str, Value]]:
        """Yield every assignment of these searched settings; the last one varies fastest.

        Args:
            keys: Keys of the settings, with all those that their conditions depend on; keys
                that are not searched are left out.
        """
        wanted = set(keys)
        return self._over([key for key in self.searched if key in wanted], {})

    def _over(self, keys: list[str], chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not keys:
            yield chosen
        elif not self.applies(keys[0], chosen):
            yield from self._over(keys[1:], chosen)
        else:
            for value in values(self.domain(keys[0], chosen)):
                yield from self._over(keys[1:], {**chosen, keys[0]: value})

    def deciding(self, key: str) -> set[str]:
        """Return the settings that a setting's condition depends on, directly or indirectly."""
        keys: set[str] = set()
        for other in conditions(self.space[key]):
            keys |= {other} | self.deciding(other)
        return keys

    def reach(self, key: str, given: Mapping[str, Value] = NOTHING) -> dict[str, Value] | None:
        """Return the first values of the deciding settings at which a setting applies.

        Args:
            key: Key of the setting, `section.name`.
            given: Values of settings that must not change, this one included.

        Returns:
            The values by key; None if the setting applies nowhere.
        """
        for chosen in self.over(self.deciding(key)):
            agrees = all(same(chosen[other], given[other]) for other in chosen if other in given)
            if agrees and self.applies(key, chosen) and self._may_be(key, chosen, given):
                return chosen
        return None

    def _may_be(self, key: str, chosen: Mapping[str, Value], given: Mapping[str, Value]) -> bool:
        """Check whether a setting may have its given value at a point, if it has one."""
        return key not in given or self.domain(key, chosen).contains(given[key])

    def completed(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return the point with these values where they apply, else first values or low ends."""
        chosen: dict[str, Value] = {}
        for key in self.searched:
            if self.applies(key, chosen):
                domain = self.domain(key, chosen)
                is_given = key in given and domain.contains(given[key])
                chosen[key] = given[key] if is_given else first(domain)
        return chosen


def ordered(space: Mapping[str, Domain]) -> list[str]:
    """Return the settings in their order, but each after those that its condition names.

    Settings whose conditions form a cycle are left out, with all that depend on them.
    """
    waiting, is_ordered = list(space), dict.fromkeys(space, False)
    order: list[str] = []
    while ready := next((key for key in waiting if _is_ready(space[key], is_ordered)), None):
        waiting.remove(ready)
        order.append(ready)
        is_ordered[ready] = True
    return order


def _is_ready(domain: Domain, is_ordered: Mapping[str, bool]) -> bool:
    return all(is_ordered[key] for key in conditions(domain))

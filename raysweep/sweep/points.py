"""The points of a space whose settings may apply under conditions on each other."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping

from raysweep.sweep.space import (
    Choice,
    Conditional,
    Domain,
    Fixed,
    Range,
    Value,
    count,
    first,
    plain,
    same,
    values,
)

NOTHING: Mapping[str, Value] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """The points of a space.

    A point is an assignment: a value for each searched setting that applies there. All other
    settings follow from it.

    Args:
        space: What each setting may be; conditions are on settings in it, without a circle.
    """

    space: Mapping[str, Domain]

    @functools.cached_property
    def searched(self) -> dict[str, Choice | Range]:
        """The settings with more than one value where they apply, after those that decide it."""
        found = {key: plain(self.space[key]) for key in ordered(self.space)}
        return {key: each for key, each in found.items() if not isinstance(each, Fixed)}

    @functools.cached_property
    def size(self) -> int | None:
        """How many points there are; None if a range makes them infinitely many."""
        named = [each.when for each in self.space.values() if isinstance(each, Conditional)]
        deciding = {key for when in named for key in when}
        rest = [key for key in self.searched if key not in deciding]
        total = 0
        for chosen in self.over(deciding):
            sizes = [count(self.searched[key]) for key in rest if self.applies(key, chosen)]
            if None in sizes:
                return None
            total += math.prod(each for each in sizes if each is not None)
        return total

    def applies(self, key: str, chosen: Mapping[str, Value]) -> bool:
        """Whether a setting's condition, if it has one, holds.

        Args:
            key: `section.name`.
            chosen: The values of the searched settings that decide it and apply.
        """
        domain = self.space[key]
        return not isinstance(domain, Conditional) or all(
            any(same(self.value(other, chosen), each) for each in wanted)
            for other, wanted in domain.when.items()
        )

    def value(self, key: str, chosen: Mapping[str, Value]) -> Value:
        """A setting's value at a point."""
        domain = self.space[key]
        if isinstance(domain, Conditional) and not self.applies(key, chosen):
            return domain.otherwise
        inside = plain(domain)
        return inside.value if isinstance(inside, Fixed) else chosen[key]

    def over(self, keys: Iterable[str]) -> Iterator[dict[str, Value]]:
        """Every assignment of these searched settings; the last one varies fastest.

        Args:
            keys: With each setting, those that decide whether it applies; others are left out.
        """
        wanted = set(keys)
        return self._over([key for key in self.searched if key in wanted], {})

    def _over(self, keys: list[str], chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not keys:
            yield chosen
        elif not self.applies(keys[0], chosen):
            yield from self._over(keys[1:], chosen)
        else:
            for value in values(self.searched[keys[0]]):
                yield from self._over(keys[1:], {**chosen, keys[0]: value})

    def deciding(self, key: str) -> set[str]:
        """The settings on which it depends, at once or through others, whether this one applies."""
        domain = self.space[key]
        found: set[str] = set()
        if isinstance(domain, Conditional):
            for other in domain.when:
                found |= {other} | self.deciding(other)
        return found

    def reach(self, key: str, given: Mapping[str, Value] = NOTHING) -> dict[str, Value] | None:
        """The first values, of those that decide it, at which a setting applies.

        Args:
            key: `section.name`.
            given: Values that may not change.

        Returns:
            None if it applies nowhere.
        """
        for chosen in self.over(self.deciding(key)):
            kept = all(same(chosen[each], given[each]) for each in chosen if each in given)
            if kept and self.applies(key, chosen):
                return chosen
        return None

    def completed(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """The point with these values where they apply, and else the first ones or low ends."""
        chosen: dict[str, Value] = {}
        for key, domain in self.searched.items():
            if self.applies(key, chosen):
                chosen[key] = given[key] if key in given else first(domain)
        return chosen


def ordered(space: Mapping[str, Domain]) -> list[str]:
    """The settings as they come, but none before those that its condition is on.

    Those whose conditions go round in a circle are left out, with all that depends on them.
    """
    waiting, found = list(space), dict.fromkeys(space, False)
    order: list[str] = []
    while ready := next((key for key in waiting if _is_ready(space[key], found)), None):
        waiting.remove(ready)
        order.append(ready)
        found[ready] = True
    return order


def _is_ready(domain: Domain, found: Mapping[str, bool]) -> bool:
    return not isinstance(domain, Conditional) or all(found[other] for other in domain.when)

"""Points of a space, in which a setting may apply only beside certain values of others."""

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
    """Points of a space.

    A point is an assignment: a value for each searched setting that applies there. All other
    settings follow from it.

    Args:
        space: Domain of each setting; conditions name settings of the space, without a cycle.
    """

    space: Mapping[str, Domain]

    @functools.cached_property
    def searched(self) -> dict[str, Choice | Range]:
        """Settings with several values, each after the settings that its condition names."""
        domains = {key: plain(self.space[key]) for key in ordered(self.space)}
        return {key: domain for key, domain in domains.items() if not isinstance(domain, Fixed)}

    @functools.cached_property
    def size(self) -> int | None:
        """Number of points; None if a range makes it infinite."""
        domains = self.space.values()
        conditions = [domain.when for domain in domains if isinstance(domain, Conditional)]
        deciding = {key for when in conditions for key in when}
        rest = [key for key in self.searched if key not in deciding]
        total = 0
        for chosen in self.over(deciding):
            sizes = [count(self.searched[key]) for key in rest if self.applies(key, chosen)]
            if None in sizes:
                return None
            total += math.prod(size for size in sizes if size is not None)
        return total

    def applies(self, key: str, chosen: Mapping[str, Value]) -> bool:
        """Check whether a setting applies: it has no condition, or its condition holds.

        Args:
            key: Key of the setting, `section.name`.
            chosen: Values of the searched settings that its condition depends on and that apply.
        """
        domain = self.space[key]
        return not isinstance(domain, Conditional) or all(
            any(same(self.value(other, chosen), value) for value in wanted)
            for other, wanted in domain.when.items()
        )

    def value(self, key: str, chosen: Mapping[str, Value]) -> Value:
        """Return the value of a setting at a point."""
        domain = self.space[key]
        if isinstance(domain, Conditional) and not self.applies(key, chosen):
            return domain.otherwise
        inside = plain(domain)
        return inside.value if isinstance(inside, Fixed) else chosen[key]

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
            for value in values(self.searched[keys[0]]):
                yield from self._over(keys[1:], {**chosen, keys[0]: value})

    def deciding(self, key: str) -> set[str]:
        """Return the settings that a setting's condition depends on, directly or indirectly."""
        domain = self.space[key]
        keys: set[str] = set()
        if isinstance(domain, Conditional):
            for other in domain.when:
                keys |= {other} | self.deciding(other)
        return keys

    def reach(self, key: str, given: Mapping[str, Value] = NOTHING) -> dict[str, Value] | None:
        """Return the first values of the deciding settings at which a setting applies.

        Args:
            key: Key of the setting, `section.name`.
            given: Values of other settings that must not change.

        Returns:
            The values by key; None if the setting applies nowhere.
        """
        for chosen in self.over(self.deciding(key)):
            agrees = all(same(chosen[other], given[other]) for other in chosen if other in given)
            if agrees and self.applies(key, chosen):
                return chosen
        return None

    def completed(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return the point with these values where they apply, else first values or low ends."""
        chosen: dict[str, Value] = {}
        for key, domain in self.searched.items():
            if self.applies(key, chosen):
                chosen[key] = given[key] if key in given else first(domain)
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
    return not isinstance(domain, Conditional) or all(is_ordered[key] for key in domain.when)

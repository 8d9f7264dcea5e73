"""Settings with conditions: their form in the file, and their domains in one arm."""

import dataclasses
from collections.abc import Iterator, Mapping

from raysweep.errors import nearest
from raysweep.registry import Setting
from raysweep.sweep.points import Points, ordered
from raysweep.sweep.space import (
    Choice,
    Conditional,
    Domain,
    Fixed,
    Plain,
    Range,
    Value,
    plain,
    same,
)
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import domain

FORMS = ({"value"}, {"choices"}, {"low", "high"}, {"low", "high", "log"})


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reader of the settings of one arm.

    Args:
        declared: Declared settings of the arm, by key.
        defaults: Values of the settings where conditions do not hold.
        problems: Collector of the mistakes.
        ranges: Whether the search can use a range.
    """

    declared: Mapping[str, Setting]
    defaults: Mapping[str, Value]
    problems: Problems
    ranges: bool

    def domain(self, node: Node, key: str) -> Domain | None:
        """Read the domain of a setting from a node; None, with a mistake, if there is none."""
        setting = self.declared[key]
        if not isinstance(node.value, dict) or "when" not in node.value:
            return domain(node, setting, self.problems, ranges=self.ranges)
        inside = self._inside(node, setting)
        when = self._when(node.value["when"], setting)
        if inside is None or when is None:
            return None
        return Conditional(when, inside, self.defaults[key])

    def _inside(self, node: Node, setting: Setting) -> Plain | None:
        rest = {key: child for key, child in node.value.items() if key != "when"}
        if set(rest) not in FORMS:
            self.problems.add(
                node.where,
                f"expected value, choices, or low and high beside when for "
                f"{setting.name!r}, got {{{', '.join(node.value)}}}",
            )
            return None
        if "choices" not in rest:
            inside = Node(rest, node.where, node.key_where)
            return domain(inside, setting, self.problems, ranges=self.ranges)
        choices = rest["choices"]
        if not isinstance(choices.value, list):
            self.problems.add(
                choices.where,
                f"expected choices of {setting.name!r} as a list, got {choices.plain()!r}; "
                "write value instead of choices for a single one",
            )
            return None
        return domain(choices, setting, self.problems, ranges=self.ranges)

    def _when(self, node: Node, setting: Setting) -> dict[str, tuple[Value, ...]] | None:
        if not isinstance(node.value, dict) or not node.value:
            self.problems.add(
                node.where,
                f"expected when as a mapping of settings to values for {setting.name!r}, "
                f"such as {{optimizer: sgd}}, got {node.plain()!r}",
            )
            return None
        conditions: dict[str, tuple[Value, ...]] = {}
        for name, where, child in node.items():
            key = self._key(name, where)
            if key in (setting.key, *conditions):
                self.problems.add(
                    where,
                    f"expected {setting.name!r} to depend on other settings, each once, "
                    f"got {name!r} {'again' if key in conditions else 'itself'}",
                )
                key = None
            wanted = None if key is None else self._wanted(child, self.declared[key])
            if key is not None and wanted is not None:
                conditions[key] = wanted
        return conditions if len(conditions) == len(node.value) else None

    def _key(self, name: str, where: str) -> str | None:
        """Return the key of the setting that a condition names; None, with a mistake, if none."""
        keys = [key for key in self.declared if name in (key, key.partition(".")[2])]
        if len(keys) == 1:
            return keys[0]
        if keys:
            self.problems.add(
                where,
                f"{name!r} in when is ambiguous: {' or '.join(keys)}; write the one you mean",
            )
            return None
        mistake = f"unknown setting {name!r} in when"
        if not any(line.startswith(f"{where}: {mistake}") for line in self.problems.lines):
            known = [key.partition(".")[2] for key in self.declared]
            self.problems.add(where, f"{mistake}{nearest(name, known)}")
        return None

    def _wanted(self, node: Node, setting: Setting) -> tuple[Value, ...] | None:
        """Read the values for which a condition holds; None, with a mistake, if there are none."""
        if isinstance(node.value, dict) and set(node.value) != {"value"}:
            self.problems.add(
                node.where,
                f"expected a value or a list of values for {setting.name!r} in when, "
                f"got {{{', '.join(node.value)}}}",
            )
            return None
        match domain(node, setting, self.problems, ranges=False):
            case Fixed(value):
                return (value,)
            case Choice(several):
                return several
        return None


def settled(
    space: Mapping[str, Domain], locations: Mapping[str, str], problems: Problems
) -> dict[str, Domain] | None:
    """Remove conditions that always or never hold; None, with a mistake, if one is wrong.

    Args:
        space: Domain of each setting, as in the file.
        locations: Position in the file that sets each setting.
        problems: Collector of the mistakes: conditions on ranges, or in a cycle.
    """
    order = ordered(space)
    mistakes = list(_cycles(space, set(space) - set(order)))
    domains = dict(space)
    broken: set[str] = set()
    for key in order:
        domain = domains[key]
        if isinstance(domain, Conditional):
            wrong = [other for other in domain.when if isinstance(plain(domains[other]), Range)]
            mistakes += [
                (key, f"{other}, which is a range; give it a list of choices") for other in wrong
            ]
            if wrong or broken & set(domain.when):
                broken.add(key)
            else:
                domains[key] = _simplest(key, domain, Points(domains))
    for key, mistake in mistakes:
        name = key.partition(".")[2]
        problems.add(
            locations[key], f"the condition of {name!r} depends on {mistake}, or remove its when"
        )
    return None if mistakes else domains


def _simplest(key: str, conditional: Conditional, points: Points) -> Domain:
    """Return the domain without its condition, if that always holds, or never."""
    fixed, otherwise = conditional.domain, conditional.otherwise
    makes_no_difference = isinstance(fixed, Fixed) and same(fixed.value, otherwise)
    held = (points.applies(key, chosen) for chosen in points.over(points.deciding(key)))
    always = next(held)
    if not makes_no_difference and any(applies != always for applies in held):
        return conditional
    return conditional.domain if always else Fixed(otherwise)


def _cycles(space: Mapping[str, Domain], stuck: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each cycle of conditions, with its first setting in the space."""
    seen: set[str] = set()
    for start in space:
        path: list[str] = []
        key = start
        while key in stuck and key not in seen and key not in path:
            path.append(key)
            domain = space[key]
            when = domain.when if isinstance(domain, Conditional) else ()
            key = next(other for other in when if other in stuck)
        if key in path:
            cycle = path[path.index(key) :]
            yield cycle[0], f"itself ({' → '.join([*cycle, key])}); change a condition"
        seen.update(path)

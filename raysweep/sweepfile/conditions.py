"""Settings with conditions: their form in the file, and their domains in one arm."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from raysweep.errors import nearest
from raysweep.registry import Setting
from raysweep.sweep.points import Points, ordered
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
    plain,
    same,
    values,
)
from raysweep.sweepfile import ranges
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import domain, has_form

FORMS = ({"value"}, {"choices"}, *ranges.FORMS)


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
        if isinstance(node.value, list) and has_condition(node):
            return self._branches(node, key)
        if not _has_condition(node):
            return domain(node, setting, self.problems, ranges=self.ranges)
        return self._conditional(node, key)

    def _conditional(self, node: Node, key: str) -> Conditional | None:
        setting = self.declared[key]
        inside = self._inside(node, setting)
        when = self._when(node.value["when"], setting)
        if inside is None or when is None:
            return None
        return Conditional(when, inside, self.defaults[key])

    def _branches(self, node: Node, key: str) -> Domain | None:
        """Read a list of domains with conditions; the last one may have none."""
        read: list[Conditional | None] = []
        for item in node.value[:-1]:
            if not _has_condition(item):
                self.problems.add(
                    item.where,
                    f"expected when in every branch of {self.declared[key].name!r} but the last, "
                    f"got {item.plain()!r}",
                )
            read.append(self._conditional(item, key) if _has_condition(item) else None)
        last = node.value[-1]
        if _has_condition(last):
            read.append(self._conditional(last, key))
        else:
            inside = domain(last, self.declared[key], self.problems, ranges=self.ranges)
            read.append(None if inside is None else Conditional({}, inside, self.defaults[key]))
        known = [case for case in read if case is not None]
        if len(known) < len(read) or not self._can_be_mixed(node, known, key):
            return None
        return known[0] if len(known) == 1 else Branches(tuple(known), self.defaults[key])

    def _can_be_mixed(self, node: Node, branches: list[Conditional], key: str) -> bool:
        """Check that branches with ranges have no other values than numbers."""
        inside = [case.domain for case in branches]
        listed = [v for one in inside if not isinstance(one, Range) for v in values(one)]
        is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in listed]
        if all(is_number) or not any(isinstance(one, Range) for one in inside):
            return True
        self.problems.add(
            node.where,
            f"expected numbers in every branch of {self.declared[key].name!r} beside a range, "
            "got other values; give all branches choices",
        )
        return False

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
        read: dict[str, tuple[Value, ...]] = {}
        for name, where, child in node.items():
            key = self._key(name, where)
            if key in (setting.key, *read):
                self.problems.add(
                    where,
                    f"expected {setting.name!r} to depend on other settings, each once, "
                    f"got {name!r} {'again' if key in read else 'itself'}",
                )
                key = None
            wanted = None if key is None else self._wanted(child, self.declared[key])
            if key is not None and wanted is not None:
                read[key] = wanted
        return read if len(read) == len(node.value) else None

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
        known = [key.partition(".")[2] for key in self.declared]
        self.problems.add_once(where, f"unknown setting {name!r} in when", nearest(name, known))
        return None

    def _wanted(self, node: Node, setting: Setting) -> tuple[Value, ...] | None:
        """Read the values for which a condition holds; None, with a mistake, if there are none."""
        is_plain = not isinstance(node.value, dict) or has_form(node, setting)
        if not is_plain and set(node.value) != {"value"}:
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
        named = conditions(domains[key])
        if named:
            wrong = [other for other in named if isinstance(plain(domains[other]), Range)]
            mistakes += [
                (key, f"{other}, which is a range; give it a list of choices") for other in wrong
            ]
            if wrong or broken & set(named):
                broken.add(key)
            else:
                domains[key] = _simplest(key, Points(domains))
    for key, mistake in mistakes:
        name = key.partition(".")[2]
        problems.add(
            locations[key], f"the condition of {name!r} depends on {mistake}, or remove its when"
        )
    return None if mistakes else domains


def _simplest(key: str, points: Points) -> Domain:
    """Return the domain without conditions that always hold, or never."""
    domain = points.space[key]
    inside = alternatives(domain)
    several = cases(domain)
    held = (points.case(key, chosen) for chosen in points.over(points.deciding(key)))
    first = next(held)
    if len(several) == 1 and not _is_one_value(inside) and any(case != first for case in held):
        return domain
    indices = {first, *held}
    if len(indices) == 1 or _is_one_value(inside):
        return points.domain(key, next(points.over(points.deciding(key))))
    left = tuple(case for index, case in enumerate(several) if index in indices)
    return left[0] if len(left) == 1 and left[0].when else Branches(left, left[0].otherwise)


def _is_one_value(domains: Sequence[Plain]) -> bool:
    """Check whether a setting with these alternatives always has the same value."""
    values = [domain.value for domain in domains if isinstance(domain, Fixed)]
    return len(values) == len(domains) and all(same(value, values[0]) for value in values)


def has_condition(node: Node) -> bool:
    """Check whether a setting's node, or one of the branches in it, has a condition."""
    if isinstance(node.value, list):
        return any(_has_condition(item) for item in node.value)
    return _has_condition(node)


def _has_condition(node: Node) -> bool:
    return isinstance(node.value, dict) and "when" in node.value


def _cycles(space: Mapping[str, Domain], stuck: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each cycle of conditions, with its first setting in the space."""
    seen: set[str] = set()
    for start in space:
        path: list[str] = []
        key = start
        while key in stuck and key not in seen and key not in path:
            path.append(key)
            key = next(other for other in conditions(space[key]) if other in stuck)
        if key in path:
            cycle = path[path.index(key) :]
            yield cycle[0], f"itself ({' → '.join([*cycle, key])}); change a condition"
        seen.update(path)

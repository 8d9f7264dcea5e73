"""Settings under conditions: how the file writes them, and what they come to in one arm."""

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
    """Reads what the file says of one arm's settings.

    Args:
        declared: The arm's settings.
        defaults: Their values where conditions do not hold.
        problems: Takes what is wrong.
        ranges: Whether the search can use a range.
    """

    declared: Mapping[str, Setting]
    defaults: Mapping[str, Value]
    problems: Problems
    ranges: bool

    def domain(self, node: Node, key: str) -> Domain | None:
        """What a node says a setting may be, or None after noting why it says nothing."""
        setting = self.declared[key]
        if not isinstance(node.value, dict) or "when" not in node.value:
            return domain(node, setting, self.problems, ranges=self.ranges)
        inside = self._inside(node, setting)
        when = self._when(node.value["when"], setting)
        if inside is None or when is None:
            return None
        return Conditional(when, inside, self.defaults[key])

    def _inside(self, node: Node, setting: Setting) -> Plain | None:
        rest = {key: each for key, each in node.value.items() if key != "when"}
        if set(rest) not in FORMS:
            self.problems.add(
                node.where,
                f"expected when with value, with choices, or with low and high for "
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
                "write value for a single one",
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
        found: dict[str, tuple[Value, ...]] = {}
        for name, where, each in node.items():
            key = self._key(name, where)
            if key in (setting.key, *found):
                self.problems.add(
                    where,
                    f"expected {setting.name!r} to depend on other settings, each once, "
                    f"got {name!r} {'again' if key in found else 'itself'}",
                )
                key = None
            wanted = None if key is None else self._wanted(each, self.declared[key])
            if key is not None and wanted is not None:
                found[key] = wanted
        return found if len(found) == len(node.value) else None

    def _key(self, name: str, where: str) -> str | None:
        """The setting that a condition names."""
        keys = [key for key in self.declared if name in (key, key.partition(".")[2])]
        if len(keys) == 1:
            return keys[0]
        if keys:
            self.problems.add(
                where,
                f"expected one setting in when, got {name!r}, which is "
                f"{' and '.join(keys)}; write the one you mean",
            )
            return None
        mistake = f"unknown setting {name!r} in when"
        if not any(line.startswith(f"{where}: {mistake}") for line in self.problems.lines):
            known = [key.partition(".")[2] for key in self.declared]
            self.problems.add(where, f"{mistake}{nearest(name, known)}")
        return None

    def _wanted(self, node: Node, setting: Setting) -> tuple[Value, ...] | None:
        """The values that a condition asks for."""
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
    space: Mapping[str, Domain], places: Mapping[str, str], problems: Problems
) -> dict[str, Domain] | None:
    """The space without conditions that always or never hold; None after noting a mistake.

    Args:
        space: As the file says.
        places: Where the file sets a setting.
        problems: Takes what is wrong: conditions on ranges or in a circle.
    """
    order = ordered(space)
    mistakes = list(_circles(space, set(space) - set(order)))
    found = dict(space)
    broken: set[str] = set()
    for key in order:
        each = found[key]
        if isinstance(each, Conditional):
            wrong = [other for other in each.when if isinstance(plain(found[other]), Range)]
            mistakes += [(key, f"on a value or choices, got {other}, a range") for other in wrong]
            if wrong or broken & set(each.when):
                broken.add(key)
            else:
                found[key] = _simplest(key, each, Points(found))
    for key, got in mistakes:
        name = key.partition(".")[2]
        problems.add(
            places[key], f"expected a condition of {name!r} {got}; change it, or remove the when"
        )
    return None if mistakes else found


def _simplest(key: str, own: Conditional, points: Points) -> Domain:
    """What a conditional setting comes to, given that those deciding it are settled."""
    alike = isinstance(own.domain, Fixed) and same(own.domain.value, own.otherwise)
    held = (points.applies(key, chosen) for chosen in points.over(points.deciding(key)))
    always = next(held)
    if not alike and any(each != always for each in held):
        return own
    return own.domain if always else Fixed(own.otherwise)


def _circles(space: Mapping[str, Domain], stuck: set[str]) -> Iterator[tuple[str, str]]:
    """Each circle of conditions, by its first setting in the space."""
    seen: set[str] = set()
    for start in space:
        path: list[str] = []
        key = start
        while key in stuck and key not in seen and key not in path:
            path.append(key)
            own = space[key]
            when = own.when if isinstance(own, Conditional) else ()
            key = next(other for other in when if other in stuck)
        if key in path:
            circle = path[path.index(key) :]
            yield circle[0], f"that ends, got a circle: {' → '.join([*circle, key])}"
        seen.update(path)

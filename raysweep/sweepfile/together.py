"""Values that belong together: `together`, a list of points of which a search chooses one."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from raysweep.registry import Setting
from raysweep.sweep.space import Branches, Choice, Conditional, Domain, Fixed, Plain, Value, same
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import domain

KEY = "together"
Point = dict[str, Plain]  # domains of settings, by key
FindKey = Callable[[str, str], str | None]  # from name and position; None, with a mistake


def groups(node: Node, problems: Problems) -> Iterator[Node]:
    """Yield each list of points: the node itself, or the lists that it holds."""
    lists = node.value if isinstance(node.value, list) else None
    if not lists:
        pass
    elif all(isinstance(item.value, list) for item in lists):
        for item in lists:
            yield from groups(item, problems)
        return
    elif all(isinstance(item.value, dict) and item.value for item in lists):
        yield node
        return
    problems.add(
        node.where,
        "expected together as a list of points, such as [{latents: 4, lr: 0.1}, "
        f"{{latents: 8, lr: 0.01}}], got {node.plain()!r}",
    )


class Reader:
    """Reader of the points of one arm.

    Args:
        declared: Declared settings of the arm, by key.
        defaults: Values of settings that a point leaves out.
        problems: Collector of the mistakes.
        ranges: Whether the search can use a range.
    """

    def __init__(
        self,
        declared: Mapping[str, Setting],
        defaults: Mapping[str, Value],
        problems: Problems,
        ranges: bool,
    ) -> None:
        self.declared, self.defaults = declared, defaults
        self.problems, self.ranges = problems, ranges

    def domains(self, node: Node, find_key: FindKey) -> dict[str, Domain] | None:
        """Read the domains of all settings of a list of points; None if there is a mistake.

        Args:
            node: List of mappings.
            find_key: Function that returns the key of a setting.
        """
        points = [self._point(item, find_key) for item in node.value]
        known = [point for point in points if point is not None]
        if len(known) < len(points):
            return None
        keys = list(dict.fromkeys(key for point in known for key in point))
        complete: list[Point] = [
            {key: point.get(key, Fixed(self.defaults[key])) for key in keys} for point in known
        ]
        return self._tree(node, keys, complete)

    def _point(self, node: Node, find_key: FindKey) -> Point | None:
        point: Point = {}
        for name, where, child in node.items():
            key = find_key(name, where)
            if key is None:
                continue
            inside = domain(child, self.declared[key], self.problems, ranges=self.ranges)
            if inside is not None:
                point[key] = inside
        return point if len(point) == len(node.value) else None

    def _tree(
        self, node: Node, keys: Sequence[str], points: Sequence[Point]
    ) -> dict[str, Domain] | None:
        """Return the domains: of the first setting a choice, of the others branches on it."""
        fixed = [key for key in keys if all(isinstance(point[key], Fixed) for point in points)]
        for index, point in enumerate(points):
            if any(_agree(point, other, fixed) for other in points[:index]):
                self._refuse_alike(node.value[index], len(fixed) < len(keys))
                return None
        domains: dict[str, Domain] = {}
        for key in fixed:
            domains[key] = _branched(key, fixed[: fixed.index(key)], points, self.defaults[key])
        for key in keys:
            if key not in fixed:
                domains[key] = _branched(key, fixed, points, self.defaults[key])
        return {key: domains[key] for key in keys}

    def _refuse_alike(self, node: Node, has_choices: bool) -> None:
        reason = "in a setting with one value" if has_choices else "once"
        self.problems.add(
            node.where,
            f"expected each point of together {'to differ ' if has_choices else ''}{reason}, "
            f"got {node.plain()!r} again; remove it",
        )


def _branched(key: str, before: Sequence[str], points: Sequence[Point], default: Value) -> Domain:
    """Return the domain of a setting, given the values of those before it."""
    cases: list[Conditional] = []
    left = list(points)
    while left:
        alike = [point for point in left if _agree(point, left[0], before)]
        left = [point for point in left if not _agree(point, left[0], before)]
        when = {other: (_value(alike[0][other]),) for other in before}
        cases.append(Conditional(when, _joined([point[key] for point in alike]), default))
    if len(cases) == 1:
        return cases[0].domain
    return Branches(tuple(cases), default)


def _joined(domains: Sequence[Plain]) -> Plain:
    if len(domains) == 1:
        return domains[0]
    values: list[Value] = []
    for one in domains:
        if not any(same(_value(one), value) for value in values):
            values.append(_value(one))
    return Choice(tuple(values)) if len(values) > 1 else Fixed(values[0])


def _agree(point: Point, other: Point, keys: Sequence[str]) -> bool:
    return all(same(_value(point[key]), _value(other[key])) for key in keys)


def _value(domain: Plain) -> Value:
    return domain.value if isinstance(domain, Fixed) else None

"""From the file's sections to arms: which settings each task × estimator has, and from where."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raysweep import registry
from raysweep.errors import SpecError, nearest
from raysweep.registry import Setting
from raysweep.sweep.runs import canonical_json
from raysweep.sweep.space import Choice, Domain, Fixed, Range, Value, coerce, member
from raysweep.sweep.spec import Arm
from raysweep.sweepfile.conditions import Reader, settled
from raysweep.sweepfile.document import Node, Problems

MAX_CHECKED = 1000  # larger spaces are checked along each of their settings


@dataclasses.dataclass(frozen=True)
class Block:
    """One labelled entry of `tasks` or `estimators`.

    Args:
        label: As in the file.
        where: Where the label stands.
        name: Registry name.
        name_where: Where the name stands.
        settings: Everything else in the entry, by key.
        only: The task labels an estimator is restricted to, or None.
    """

    label: str
    where: str
    name: str
    name_where: str
    settings: Mapping[str, tuple[str, Node]]
    only: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Override:
    """Settings for some cells of the table; None means every label."""

    where: str
    tasks: tuple[str, ...] | None
    estimators: tuple[str, ...] | None
    settings: Mapping[str, tuple[str, Node]]

    def covers(self, task: str, estimator: str) -> bool:
        """Whether it applies to the arm of these labels."""
        return (self.tasks is None or task in self.tasks) and (
            self.estimators is None or estimator in self.estimators
        )


@dataclasses.dataclass(frozen=True)
class Source:
    """What arms are built from, besides their own task and estimator entries."""

    training: Mapping[str, tuple[str, Node]]
    overrides: tuple[Override, ...]
    ranges: bool


def build(task: Block, estimator: Block, source: Source, problems: Problems) -> Arm | None:
    """The arm of a task entry and an estimator entry; None after noting why there is none."""
    family = registry.task(task.name).family
    if estimator.name not in registry.estimator_names(family):
        problems.add(
            estimator.name_where,
            f"expected an estimator for the {family} task "
            f"{task.label!r}, got {estimator.name!r}"
            f"{nearest(estimator.name, registry.estimator_names(family))}; "
            "restrict it with tasks: [...]",
        )
        return None
    declared = {
        **registry.task_settings(task.name),
        **registry.estimator_settings(family, estimator.name),
    }
    builder = _ArmBuilder(task, estimator, declared, problems, source.ranges)
    builder.assign(source.training, ("training",), "training")
    builder.assign(task.settings, ("task", "training"), f"task {task.name!r}")
    builder.assign(estimator.settings, ("estimator", "training"), f"estimator {estimator.name!r}")
    for override in source.overrides:
        if override.covers(task.label, estimator.label):
            what = f"{estimator.label!r} on {task.label!r}"
            builder.assign(override.settings, ("estimator", "task", "training"), what)
    return builder.finish(family)


class _ArmBuilder:
    """Collects one arm's space, later assignments winning."""

    def __init__(
        self,
        task: Block,
        estimator: Block,
        declared: Mapping[str, Setting],
        problems: Problems,
        ranges: bool,
    ) -> None:
        self.task, self.estimator = task, estimator
        self.declared = declared
        self.problems = problems
        self.defaults = {
            key: coerce(setting.default, setting.type) for key, setting in declared.items()
        }
        self.reader = Reader(declared, self.defaults, problems, ranges)
        self.space: dict[str, Domain] = {key: Fixed(v) for key, v in self.defaults.items()}
        self.places: dict[str, str] = {}
        self.complete = True

    def assign(
        self, settings: Mapping[str, tuple[str, Node]], sections: tuple[str, ...], what: str
    ) -> None:
        for name, (where, node) in settings.items():
            keys = [key for key in self.declared if self.matches(key, name, sections)]
            if len(keys) == 1:
                found = self.reader.domain(node, keys[0])
                self.complete &= found is not None
                if found is not None:
                    self.space[keys[0]] = found
                    self.places[keys[0]] = node.where
                continue
            self.complete = False
            if keys:
                self.problems.add(
                    where,
                    f"expected one setting, got {name!r}, which is "
                    f"{' and '.join(keys)}; write the one you mean",
                )
            else:
                known = [
                    key.partition(".")[2]
                    for key in self.declared
                    if key.partition(".")[0] in sections
                ]
                self.problems.add(
                    where, f"unknown setting {name!r} of {what}{nearest(name, known)}"
                )

    @staticmethod
    def matches(key: str, name: str, sections: tuple[str, ...]) -> bool:
        section, _, short = key.partition(".")
        return section in sections and name in (short, key)

    def finish(self, family: str) -> Arm | None:
        space = settled(self.space, self.places, self.problems) if self.complete else None
        if space is None:
            return None
        task = registry.task(self.task.name)
        cls = registry.estimator_class(family, self.estimator.name)
        arm = Arm(
            self.task.label,
            self.estimator.label,
            task.name,
            task.version,
            self.estimator.name,
            cls.version,
            space,
            self.defaults,
            frozenset(key for key, setting in self.declared.items() if setting.per_replica),
            type(task).__module__,
            cls.__module__,
            {
                key: setting.smoke
                for key, setting in self.declared.items()
                if setting.smoke is not None
            },
        )
        for where, message in self.mistakes(arm):
            self.problems.add(where, message)
            return None
        return arm

    def mistakes(self, arm: Arm) -> Iterator[tuple[str, str]]:
        """What task and estimator themselves say against values of the space."""
        few = arm.size is not None and arm.size <= MAX_CHECKED
        for assignment in arm.cells() if few else corners(arm):
            configuration = arm.configuration(assignment)
            try:
                settings, estimator = registry.instantiate(
                    arm.task, arm.estimator, configuration.settings
                )
            except (ValueError, TypeError) as error:
                yield self.blame(str(error)), f"{arm.name}: {error}"
                continue
            reason = registry.task(arm.task).check(settings, estimator)
            if reason is not None:
                yield (
                    self.estimator.name_where,
                    f"{arm.name}: this pair cannot run: {reason}; leave it out with tasks: [...]",
                )

    def blame(self, message: str) -> str:
        """Where the file sets what the message speaks of; else where the estimator stands."""
        words = message.replace(",", " ").replace("(", " ").split()
        for word in words:
            for key, where in self.places.items():
                if key.partition(".")[2] == word.strip("'`\":;"):
                    return where
        return self.estimator.where


def corners(arm: Arm) -> Iterator[dict[str, Any]]:
    """The first point of the space, then each other value of each setting from there.

    A setting that does not apply there has its values at the first point where it does.
    """
    seen = set()
    for given in ({}, *_changes(arm)):
        point = arm.points.completed(given)
        text = canonical_json(point)
        if text not in seen:
            seen.add(text)
            yield point


def _changes(arm: Arm) -> Iterator[dict[str, Any]]:
    """One value of one setting each, with what makes the setting apply."""
    for key, each in arm.searched.items():
        where = arm.points.reach(key)
        if where is not None:
            for value in _representatives(each):
                yield {**where, key: value}


def _representatives(each: Choice | Range) -> tuple[Value, ...]:
    if isinstance(each, Choice):
        return each.values
    return member(each, each.low), member(each, each.high)


def named(kind: str, name: str) -> None:
    """Checks that a registry name exists in any family.

    Raises:
        SpecError: With the nearest name.
    """
    if kind == "task":
        registry.task(name)
        return
    families = {registry.task(each).family for each in registry.task_names()}
    known = {each for family in families for each in registry.estimator_names(family)}
    if name not in known:
        raise SpecError(f"unknown estimator {name!r}{nearest(name, known)}")


def point_mistakes(point: Mapping[str, Any], found: Sequence[Arm]) -> Iterator[str]:
    """What is wrong with a point to try first: names that no arm searches, values outside."""
    for name, value in point.items():
        pairs = [(arm, key) for arm in found for key in arm.keys_of(name)]
        inside = [(arm, key) for arm, key in pairs if arm.domain(key).contains(value)]
        if not pairs:
            known = {key.partition(".")[2] for arm in found for key in arm.searched}
            yield f"expected a searched setting in first, got {name!r}{nearest(name, known)}"
        elif not inside:
            yield f"expected a value of {name!r} inside its range or among its choices, got {value}"
        elif all(arm.points.reach(key, arm.point(point)) is None for arm, key in inside):
            yield (
                f"expected {name!r} in first only where its condition holds, got {dict(point)}; "
                "leave it out, or change what it depends on"
            )

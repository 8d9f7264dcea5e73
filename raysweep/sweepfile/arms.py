"""Arms of a sweep file: the settings of each task × estimator, from all sections of the file."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from raysweep import registry
from raysweep.errors import SpecError, nearest
from raysweep.registry import Setting
from raysweep.sweep.space import Domain, Fixed, coerce, conditions
from raysweep.sweep.spec import Arm
from raysweep.sweepfile import schedules, together
from raysweep.sweepfile.arm_checks import Positions, check_values
from raysweep.sweepfile.conditions import Reader, has_condition, settled
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.rows import Entry


@dataclasses.dataclass(frozen=True)
class Override:
    """Settings for some arms; None as labels means every label."""

    where: str
    tasks: tuple[str, ...] | None
    estimators: tuple[str, ...] | None
    settings: Mapping[str, tuple[str, Node]]

    def covers(self, task: str, estimator: str) -> bool:
        """Check whether the override applies to the arm of these labels."""
        return (self.tasks is None or task in self.tasks) and (
            self.estimators is None or estimator in self.estimators
        )


@dataclasses.dataclass(frozen=True)
class CommonSettings:
    """Settings of a file outside the entries of tasks and estimators."""

    training: Mapping[str, tuple[str, Node]]
    overrides: tuple[Override, ...]
    ranges: bool


@dataclasses.dataclass(frozen=True)
class BuiltArm:
    """An arm as far as it could be read.

    Args:
        arm: The arm, in which settings with mistakes have their defaults.
        broken: Keys of these settings, as far as they are known.
    """

    arm: Arm
    broken: Collection[str]

    @property
    def knows_its_task(self) -> bool:
        """Whether no setting of the task has a mistake."""
        return not any(key.startswith("task.") for key in self.broken)


def build(
    task: Entry, estimator: Entry, common: CommonSettings, problems: Problems
) -> BuiltArm | None:
    """Build the arm of a task and an estimator; None, with a mistake, if there is none."""
    try:
        registry.check_estimator(estimator.name, task.name)
    except SpecError as error:
        problems.add(estimator.name_where, f"{error}; restrict it to others with tasks: [...]")
        return None
    family = registry.task(task.name).family
    declared = {
        **registry.task_settings(task.name),
        **registry.estimator_settings(family, estimator.name),
    }
    builder = _ArmBuilder(task, estimator, declared, problems, common.ranges)
    builder.assign(common.training, ("training",), "training")
    builder.assign(task.settings, ("task", "training"), f"task {task.name!r}")
    if estimator.kind == "method":
        builder.assign(estimator.settings, ("task", "training"), f"task {task.name!r}")
    else:
        owner = f"estimator {estimator.name!r}"
        builder.assign(estimator.settings, ("estimator", "training"), owner)
    for override in common.overrides:
        if override.covers(task.label, estimator.label):
            owner = f"{estimator.label!r} on {task.label!r}"
            builder.assign(override.settings, ("estimator", "task", "training"), owner)
    return builder.finish(family)


class _ArmBuilder:
    """Builder of the space of an arm, in which later assignments win.

    Settings with mistakes keep their defaults, so that the others can still be checked.
    """

    def __init__(
        self,
        task: Entry,
        estimator: Entry,
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
        self.together = together.Reader(declared, self.defaults, problems, ranges)
        self.space: dict[str, Domain] = {key: Fixed(v) for key, v in self.defaults.items()}
        self.locations: dict[str, str] = {}
        self.broken: set[str] = set()  # keys of settings with mistakes, or their likely keys
        self.changing: set[str] = set()  # keys of the estimator's settings that have a schedule

    def assign(
        self, settings: Mapping[str, tuple[str, Node]], sections: tuple[str, ...], owner: str
    ) -> None:
        """Set the domains of settings.

        Args:
            settings: Positions and nodes of the settings, by name.
            sections: Sections in which the settings may be declared.
            owner: Noun for the part of the file, for messages.
        """

        def find_key(name: str, where: str) -> str | None:
            return self.find_key(name, where, sections, owner)

        assigned: dict[str, Domain | None] = {}
        left_out = self.beside_schedules(settings) | {together.KEY}
        for name, (where, node) in settings.items():
            key = None if name in left_out else find_key(name, where)
            if key is not None:
                self.assign_one(node, key, assigned)
        if together.KEY in settings:
            self.assign_together(settings[together.KEY][1], find_key, assigned)
        for key in self.changing & set(assigned):
            if schedules.companions(key)[0] not in assigned:  # one value replaces the schedule
                assigned |= {one: Fixed(self.defaults[one]) for one in schedules.companions(key)}
        for key, domain in assigned.items():
            self.space[key] = Fixed(self.defaults[key]) if domain is None else domain
            if domain is None:
                self.broken.add(key)

    def assign_one(self, node: Node, key: str, assigned: dict[str, Domain | None]) -> None:
        """Add a setting, or all that a schedule in its place is short for."""
        if not (key.startswith("estimator.") and schedules.is_schedule(node)):
            assigned[key] = self.reader.domain(node, key)
            self.locations[key] = node.where
            return
        name = key.partition(".")[2]
        if not schedules.can_change(key, self.declared):
            self.problems.add(
                node.where,
                f"expected one value of {name!r} with the task {self.task.name}, which does not "
                "change it while it trains, got a schedule",
            )
            assigned[key] = None
            return
        self.changing.add(key)
        nodes = schedules.expanded(node, key, self.problems)
        assigned |= {one: Fixed(self.defaults[one]) for one in schedules.companions(key)}
        for one, part in ({key: None} if nodes is None else nodes).items():
            assigned[one] = None if part is None else self.reader.domain(part, one)
            self.locations[one] = node.where if part is None else part.where
        schedules.limit(assigned, key, self.defaults)

    def beside_schedules(self, settings: Mapping[str, tuple[str, Node]]) -> set[str]:
        """Return the names of settings that a schedule includes, given beside it: a mistake."""
        given = {name.rpartition(".")[2]: name for name in settings}
        beside = set()
        for short, name in given.items():
            key = f"estimator.{short}"
            is_schedule = schedules.is_schedule(settings[name][1])
            if not (is_schedule and schedules.can_change(key, self.declared)):
                continue
            for one in {part.partition(".")[2] for part in schedules.companions(key)} & set(given):
                beside.add(given[one])
                self.problems.add(
                    settings[given[one]][0],
                    f"{one!r} appears in the schedule and beside it; remove one",
                )
        return beside

    def assign_together(
        self, node: Node, find_key: together.FindKey, assigned: dict[str, Domain | None]
    ) -> None:
        """Add the settings of lists of points to those that are assigned already."""
        for group in together.groups(node, self.problems):
            domains = self.together.domains(group, find_key)
            if domains is None:
                self.broken.add(f"task.{together.KEY}")
                continue
            for key, domain in domains.items():
                if key in assigned:
                    name = key.partition(".")[2]
                    self.problems.add(
                        group.where, f"{name!r} appears in together and beside it; remove one"
                    )
                    self.broken.add(key)
                assigned[key] = domain
                self.locations[key] = group.where

    def find_key(self, name: str, where: str, sections: tuple[str, ...], owner: str) -> str | None:
        """Return the key of a setting in these sections; None, with a mistake, if it has none."""
        keys = [key for key in self.declared if self.matches(key, name, sections)]
        if len(keys) == 1:
            return keys[0]
        self.broken.add(f"{sections[0]}.{name}")
        if keys:
            self.problems.add(
                where, f"{name!r} is ambiguous: {' or '.join(keys)}; write the one you mean"
            )
            return None
        known = [
            key.partition(".")[2] for key in self.declared if key.partition(".")[0] in sections
        ]
        self.problems.add_once(
            where, f"unknown setting {name!r}", f" of {owner}{nearest(name, known)}"
        )
        return None

    @staticmethod
    def matches(key: str, name: str, sections: tuple[str, ...]) -> bool:
        section, _, short = key.partition(".")
        return section in sections and name in (short, key)

    def finish(self, family: str) -> BuiltArm | None:
        space = settled(self.space, self.locations, self.problems)
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
            task.module,
            cls.__module__,
            {
                key: setting.smoke
                for key, setting in self.declared.items()
                if setting.smoke is not None
            },
            task.source,
        )
        positions = Positions(self.estimator.where, self.estimator.name_where, self.locations)
        check_values(arm, positions, self.broken, self.problems)
        return BuiltArm(arm, self.broken)


def check_alone(entry: Entry, common: CommonSettings, problems: Problems) -> None:
    """Check the settings of an entry that no arm is made of, as its partners have mistakes."""
    if entry.kind == "method":
        return  # it has settings of tasks alone
    kind, declared = entry.kind, dict(registry.training_settings())
    if kind == "task":
        declared |= registry.task_settings(entry.name)
    else:
        families = registry.families_of(entry.name)
        by_family = [registry.estimator_settings(family, entry.name) for family in families]
        likely = max(by_family, key=lambda known: _count_known(entry.settings, known.values()))
        declared |= likely
    builder = _ArmBuilder(entry, entry, declared, problems, common.ranges)
    # A condition may name settings of the partner, which are not known.
    # So do schedules.
    settings = {
        key: item
        for key, item in entry.settings.items()
        if not (has_condition(item[1]) or schedules.is_schedule(item[1]))
    }
    training = {key: item for key, item in common.training.items() if not has_condition(item[1])}
    builder.assign(training, ("training",), "training")
    builder.assign(settings, (kind, "training"), f"{kind} {entry.name!r}")


def _count_known(names: Iterable[str], settings: Iterable[Setting]) -> int:
    """Count the names that are settings, with or without the section."""
    known = {setting.name for setting in settings}
    return sum(name.rpartition(".")[2] in known for name in names)


def check_name(kind: str, name: str) -> None:
    """Check that a registry name exists, for estimators in any family.

    Raises:
        SpecError: If it does not, with the nearest name, or if its plug-in cannot be loaded.
    """
    if kind == "task":
        registry.task(name)
        return
    known = registry.families_of(name)
    if not known:
        every = {
            other for family in registry.families() for other in registry.estimator_names(family)
        }
        raise SpecError(f"unknown estimator {name!r}{nearest(name, every)}")
    for family in known:
        registry.estimator_class(family, name)


def point_mistakes(point: Mapping[str, Any], arms: Sequence[Arm]) -> Iterator[str]:
    """Yield the mistakes in a point to try first: settings not searched, values outside."""
    for name, value in point.items():
        pairs = [(arm, key) for arm in arms for key in arm.keys_of(name)]
        inside = [(arm, key) for arm, key in pairs if arm.domain(key).contains(value)]
        following = sorted(_deciding_names(name, arms))
        if not pairs and following:
            yield (
                f"expected a searched setting in first, got {name!r}, which follows from "
                f"{' and '.join(following)}; leave it out"
            )
        elif not pairs:
            known = {key.partition(".")[2] for arm in arms for key in arm.searched}
            yield f"expected a searched setting in first, got {name!r}{nearest(name, known)}"
        elif not inside:
            yield f"expected a value of {name!r} inside its range or among its choices, got {value}"
        elif all(arm.points.reach(key, arm.point(point)) is None for arm, key in inside):
            yield (
                f"expected {name!r} in first only where its condition holds, got {dict(point)}; "
                "leave it out, or change the settings that it depends on"
            )


def _deciding_names(name: str, arms: Sequence[Arm]) -> set[str]:
    """Return the names of the settings that decide on a setting's value, by its conditions."""
    return {
        other.partition(".")[2]
        for arm in arms
        for key, domain in arm.space.items()
        if name in (key, key.partition(".")[2])
        for other in conditions(domain)
    }

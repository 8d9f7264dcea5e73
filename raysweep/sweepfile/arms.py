"""Arms of a sweep file: the settings of each task × estimator, from all sections of the file."""

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

MAX_CHECKED = 1000  # points; of larger spaces, one setting is varied at a time


@dataclasses.dataclass(frozen=True)
class Entry:
    """One labelled entry of `tasks` or `estimators`.

    Args:
        label: Label in the file.
        where: Position of the label in the file.
        name: Registry name of the task or the estimator.
        name_where: Position of the name in the file.
        settings: Settings in the entry, by key, with their positions.
        only: Labels of the tasks that an estimator is restricted to; None for all tasks.
    """

    label: str
    where: str
    name: str
    name_where: str
    settings: Mapping[str, tuple[str, Node]]
    only: tuple[str, ...] | None = None


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


def build(task: Entry, estimator: Entry, common: CommonSettings, problems: Problems) -> Arm | None:
    """Build the arm of a task and an estimator; None, with a mistake, if there is none."""
    family = registry.task(task.name).family
    if estimator.name not in registry.estimator_names(family):
        problems.add(
            estimator.name_where,
            f"expected an estimator for the {family} task "
            f"{task.label!r}, got {estimator.name!r}"
            f"{nearest(estimator.name, registry.estimator_names(family))}; "
            "restrict it to other tasks with tasks: [...]",
        )
        return None
    declared = {
        **registry.task_settings(task.name),
        **registry.estimator_settings(family, estimator.name),
    }
    builder = _ArmBuilder(task, estimator, declared, problems, common.ranges)
    builder.assign(common.training, ("training",), "training")
    builder.assign(task.settings, ("task", "training"), f"task {task.name!r}")
    builder.assign(estimator.settings, ("estimator", "training"), f"estimator {estimator.name!r}")
    for override in common.overrides:
        if override.covers(task.label, estimator.label):
            owner = f"{estimator.label!r} on {task.label!r}"
            builder.assign(override.settings, ("estimator", "task", "training"), owner)
    return builder.finish(family)


class _ArmBuilder:
    """Builder of the space of an arm, in which later assignments win."""

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
        self.space: dict[str, Domain] = {key: Fixed(v) for key, v in self.defaults.items()}
        self.locations: dict[str, str] = {}
        self.complete = True

    def assign(
        self, settings: Mapping[str, tuple[str, Node]], sections: tuple[str, ...], owner: str
    ) -> None:
        for name, (where, node) in settings.items():
            keys = [key for key in self.declared if self.matches(key, name, sections)]
            if len(keys) == 1:
                domain = self.reader.domain(node, keys[0])
                self.complete &= domain is not None
                if domain is not None:
                    self.space[keys[0]] = domain
                    self.locations[keys[0]] = node.where
                continue
            self.complete = False
            if keys:
                self.problems.add(
                    where,
                    f"{name!r} is ambiguous: {' or '.join(keys)}; write the one you mean",
                )
            else:
                known = [
                    key.partition(".")[2]
                    for key in self.declared
                    if key.partition(".")[0] in sections
                ]
                self.problems.add(
                    where, f"unknown setting {name!r} of {owner}{nearest(name, known)}"
                )

    @staticmethod
    def matches(key: str, name: str, sections: tuple[str, ...]) -> bool:
        section, _, short = key.partition(".")
        return section in sections and name in (short, key)

    def finish(self, family: str) -> Arm | None:
        space = settled(self.space, self.locations, self.problems) if self.complete else None
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
        mistake = next(self.mistakes(arm), None)
        if mistake is not None:
            self.problems.add(*mistake)
            return None
        return arm

    def mistakes(self, arm: Arm) -> Iterator[tuple[str, str]]:
        """Yield the objections of task and estimator to values of the space, with positions."""
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
        """Return the position of the setting that a message names, else of the estimator."""
        words = message.replace(",", " ").replace("(", " ").split()
        for word in words:
            for key, where in self.locations.items():
                if key.partition(".")[2] == word.strip("'`\":;"):
                    return where
        return self.estimator.where


def corners(arm: Arm) -> Iterator[dict[str, Any]]:
    """Yield the first point of the space, then that point with each other value of a setting.

    A setting that does not apply there is varied at the first point where it does.
    """
    seen = set()
    for given in ({}, *_changes(arm)):
        point = arm.points.completed(given)
        text = canonical_json(point)
        if text not in seen:
            seen.add(text)
            yield point


def _changes(arm: Arm) -> Iterator[dict[str, Any]]:
    """Yield each value of each setting, with the values at which the setting applies."""
    for key, domain in arm.searched.items():
        conditions = arm.points.reach(key)
        if conditions is not None:
            for value in _representatives(domain):
                yield {**conditions, key: value}


def _representatives(domain: Choice | Range) -> tuple[Value, ...]:
    if isinstance(domain, Choice):
        return domain.values
    return member(domain, domain.low), member(domain, domain.high)


def check_name(kind: str, name: str) -> None:
    """Check that a registry name exists, for estimators in any family.

    Raises:
        SpecError: If it does not; the message gives the nearest name.
    """
    if kind == "task":
        registry.task(name)
        return
    families = {registry.task(task).family for task in registry.task_names()}
    known = {other for family in families for other in registry.estimator_names(family)}
    if name not in known:
        raise SpecError(f"unknown estimator {name!r}{nearest(name, known)}")


def point_mistakes(point: Mapping[str, Any], arms: Sequence[Arm]) -> Iterator[str]:
    """Yield the mistakes in a point to try first: settings not searched, values outside."""
    for name, value in point.items():
        pairs = [(arm, key) for arm in arms for key in arm.keys_of(name)]
        inside = [(arm, key) for arm, key in pairs if arm.domain(key).contains(value)]
        if not pairs:
            known = {key.partition(".")[2] for arm in arms for key in arm.searched}
            yield f"expected a searched setting in first, got {name!r}{nearest(name, known)}"
        elif not inside:
            yield f"expected a value of {name!r} inside its range or among its choices, got {value}"
        elif all(arm.points.reach(key, arm.point(point)) is None for arm, key in inside):
            yield (
                f"expected {name!r} in first only where its condition holds, got {dict(point)}; "
                "leave it out, or change the settings that it depends on"
            )

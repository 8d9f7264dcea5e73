"""Checks of an arm's values by its task and estimator: each value, and each combination."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from raysweep import registry
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Fixed, Plain, Range, Value, cases, member, same, values
from raysweep.sweep.spec import Arm
from raysweep.sweepfile.document import Problems

MAX_CHECKED = 1000  # points; of larger spaces, one setting is varied at a time
MAX_REPAIRED = 20  # wrong settings of a point, which get their defaults one after another
MAX_REPORTED = 5  # mistakes of an arm at one position of the file


@dataclasses.dataclass(frozen=True)
class Positions:
    """Positions of an arm's parts in the file.

    Args:
        estimator: Position of the estimator's label.
        estimator_name: Position of the estimator's name.
        settings: Position of each setting that the file gives, by key.
    """

    estimator: str
    estimator_name: str
    settings: Mapping[str, str]


def check_values(
    arm: Arm, positions: Positions, broken: Collection[str], problems: Problems
) -> None:
    """Check that task and estimator accept the points of an arm's space.

    Args:
        arm: Arm whose space is checked.
        positions: Positions in the file.
        broken: Keys of settings that have mistakes already, and their defaults in the space.
        problems: Collector of the mistakes.
    """
    checker = _Checker(arm, positions, set(broken))
    few = arm.size is not None and arm.size <= MAX_CHECKED
    for assignment in arm.cells() if few else corners(arm):
        checker.check(dict(arm.configuration(assignment).settings))
    for where, messages in checker.found.items():
        for message in messages[:MAX_REPORTED]:
            problems.add_for(arm.name, where, message)


class _Checker:
    """Collector of the objections to an arm's points."""

    def __init__(self, arm: Arm, positions: Positions, broken: set[str]) -> None:
        self.arm, self.positions, self.broken = arm, positions, broken
        self.found: dict[str, list[str]] = {}

    def check(self, settings: dict[str, Value]) -> None:
        """Check a point; settings that are refused get their defaults for the rest of the check."""
        doubtful = set(self.broken)
        made = self._made(settings, doubtful)
        if made is None or any(key.startswith("task.") for key in doubtful):
            return
        reason = registry.task(self.arm.task).refusal(*made)
        if reason is not None and not _names(reason, doubtful):
            self._add(
                self.positions.estimator_name,
                f"this pair cannot run: {reason}; leave it out with tasks: [...]",
            )

    def _made(self, settings: dict[str, Value], doubtful: set[str]) -> tuple[Any, Any] | None:
        for _ in range(MAX_REPAIRED):
            try:
                return registry.instantiate(self.arm.task, self.arm.estimator, settings)
            except (ValueError, TypeError) as error:
                key = self._blamed(str(error))
                if not _names(str(error), doubtful) and not (key is None and doubtful):
                    where = self.positions.settings.get(key or "", self.positions.estimator)
                    self._add(where, str(error))
                if key is None or same(settings[key], self.arm.defaults[key]):
                    return None
                settings[key] = self.arm.defaults[key]
                doubtful.add(key)
        return None

    def _blamed(self, message: str) -> str | None:
        """Return the key of the first setting of the file that a message names."""
        for word in _words(message):
            for key in self.positions.settings:
                if key.partition(".")[2] == word:
                    return key
        return None

    def _add(self, where: str, message: str) -> None:
        messages = self.found.setdefault(where, [])
        if message not in messages:
            messages.append(message)


def _words(message: str) -> list[str]:
    words = message.replace(",", " ").replace("(", " ").split()
    return [word.strip("'`\":;") for word in words]


def _names(message: str, keys: Collection[str]) -> bool:
    """Check whether a message names one of the settings."""
    names = {key.partition(".")[2] for key in keys}
    return not names.isdisjoint(_words(message))


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
    """Yield each value of each setting, in each branch, at the first values where it applies."""
    for key, domain in arm.space.items():
        if isinstance(domain, Fixed):
            continue
        seen: set[int | None] = set()
        deciding = arm.points.deciding(key)
        for chosen in arm.points.over(deciding):
            case = arm.points.case(key, chosen)
            if case not in seen and (case is not None or not cases(domain)):
                seen.add(case)
                for value in _representatives(arm.points.domain(key, chosen)):
                    yield {**chosen, key: value}
            if len(seen) == max(1, len(cases(domain))):
                break


def _representatives(domain: Plain) -> tuple[Value, ...]:
    if isinstance(domain, Range):
        return member(domain, domain.low), member(domain, domain.high)
    return tuple(values(domain))

"""Defaults that changed, so that stored runs share an id with present runs of other values.

Ids leave out settings at their defaults. So a run of 400 steps, which was the default, and one of
300, which is the default now, have the same id, and only their settings differ.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence

from raysweep.sweep import space
from raysweep.sweep.settings import canonical_json
from raysweep.sweep.space import Domain, Value
from raysweep.sweep.spec import Arm
from raysweep.text import counted

MAX_TRIED = 4096  # combinations of old and new values that are tried for a configuration
MAX_NULLS = 8  # settings without a stored value whose former default may have been null


@dataclasses.dataclass(frozen=True)
class Change:
    """A default that changed since runs were stored.

    Args:
        owner: Registry name of the task or the estimator that declares the setting.
        key: Key of the setting, `section.name`.
        old: JSON text of the value that the runs have.
        new: JSON text of the present default.
    """

    owner: str
    key: str
    old: str
    new: str

    @classmethod
    def of(cls, arm: Arm, key: str, old: Value) -> "Change":
        """Create the change of an arm's default from a stored value."""
        owner = arm.estimator if key.startswith("estimator.") else arm.task
        return cls(owner, key, canonical_json(old), canonical_json(arm.defaults[key]))

    def text(self, runs: int) -> str:
        """Describe the change in one line.

        Args:
            runs: Number of runs that have the old value.
        """
        name = self.key.partition(".")[2]
        return (
            f"the default of {self.owner}.{name} changed since {counted(runs)}: "
            f"{_written(self.old)} → {_written(self.new)}; raise its version, or write "
            f"{name}: {_yaml(self.old)}"
        )

    @property
    def condition(self) -> str:
        """SQL condition that selects the runs with the old value."""
        value = json.loads(self.old)
        if value is None:
            return f"param.{self.key} is null"
        if isinstance(value, bool | int | float):
            return f"param.{self.key} = {self.old}"
        text = value if isinstance(value, str) else json.dumps(value)
        return f"param.{self.key} = '{text.replace(chr(39), 2 * chr(39))}'"


def texts(counts: Mapping[Change, int]) -> list[str]:
    """Return a line for each change, most frequent first.

    Args:
        counts: Number of runs with the old value, by change.
    """
    order = sorted(
        counts, key=lambda change: (-counts[change], change.owner, change.key, change.old)
    )
    return [change.text(counts[change]) for change in order]


class Counterparts:
    """Present configurations of an arm with the ids of stored configurations.

    Args:
        arm: Arm with its present defaults.
    """

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self._defaults = {key: canonical_json(value) for key, value in arm.defaults.items()}
        task = canonical_json({"name": arm.task, "version": arm.task_version})
        estimator = canonical_json({"name": arm.estimator, "version": arm.estimator_version})
        self._nulls: dict[tuple[str, str], list[str]] = {}
        self._head, self._tail = f'{{"estimator":{estimator},"settings":', f',"task":{task}}}'

    def changed(
        self, configuration_id: str, settings: Mapping[str, Value], definition: str | None = None
    ) -> list[str] | None:
        """Return the keys in which a stored configuration differs from the arm's of the same id.

        A null means the present default, as a setting declared later has no stored value, unless
        the definition proves that null was the default.

        Args:
            configuration_id: Id of the stored configuration.
            settings: Stored settings, by key `section.name`.
            definition: Stored definition, if it is known.

        Returns:
            The keys, empty if nothing differs; None if the arm has no configuration of that id.
        """
        options = self._options(settings)
        if options is None:
            return None
        for chosen in itertools.islice(_fewest_changes_first(options), MAX_TRIED):
            if self._id(chosen) != configuration_id:
                continue
            assignment = self.arm.assignment({key: option.value for key, option in chosen.items()})
            if assignment is not None:
                keys = [key for key, option in chosen.items() if option.is_change]
                return keys + self._former_nulls(settings, keys, definition)
        return None

    def _former_nulls(
        self, settings: Mapping[str, Value], changed: Sequence[str], definition: str | None
    ) -> list[str]:
        """Return the settings whose default was null in the definition, and is not now."""
        if definition is None:
            return []
        key = definition, canonical_json({key: settings[key] for key in changed})
        if key not in self._nulls:
            self._nulls[key] = self._search_nulls(settings, changed, definition)
        return self._nulls[key]

    def _search_nulls(
        self, settings: Mapping[str, Value], changed: Sequence[str], definition: str
    ) -> list[str]:
        """Try which settings had the default null, until the definition agrees."""
        former = {**self.arm.defaults, **{key: settings[key] for key in changed}}
        unknown = [
            key
            for key, default in self.arm.defaults.items()
            if settings.get(key) is None and default is not None
        ][:MAX_NULLS]
        for count in range(len(unknown) + 1):
            for absent in itertools.combinations(unknown, count):
                known = {key: former[key] for key in former if key not in absent}
                nulls = [key for key in unknown if key not in absent]
                known |= dict.fromkeys(nulls)
                if self.arm.definition_with(known) == definition:
                    return nulls
        return []

    def _options(self, settings: Mapping[str, Value]) -> dict[str, list["_Option"]] | None:
        """Return the values that each setting may have now; None if a setting has none."""
        decisive = self.arm.decisive
        if not all(domain.contains(settings.get(key)) for key, domain in decisive.items()):
            return None
        options = {}
        for key, domain in self.arm.space.items():
            value, default = settings.get(key), self.arm.defaults[key]
            values = [_Option(value)] if _holds(domain, value) else []
            if not space.same(value, default) and _holds(domain, default):
                values.append(_Option(default, is_change=value is not None))
            if not values:
                return None
            options[key] = values
        return options

    def _id(self, chosen: Mapping[str, "_Option"]) -> str:
        """Return the id of the configuration with these values, as `Configuration` does."""
        parts = []
        for key in sorted(chosen):
            text = canonical_json(_member(self.arm.space[key], chosen[key].value))
            if text != self._defaults[key]:
                parts.append(f"{canonical_json(key)}:{text}")
        text = f"{self._head}{{{','.join(parts)}}}{self._tail}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class _Option:
    """A value that a setting may have, and whether it differs from the stored one."""

    value: Value
    is_change: bool = False


def _fewest_changes_first(
    options: Mapping[str, Sequence[_Option]],
) -> Iterator[dict[str, _Option]]:
    """Yield every combination, in order of the number of settings with their second value."""
    first = {key: values[0] for key, values in options.items()}
    undecided = [key for key, values in options.items() if len(values) > 1]
    for count in range(len(undecided) + 1):
        for keys in itertools.combinations(undecided, count):
            yield {**first, **{key: options[key][1] for key in keys}}


def _holds(domain: Domain, value: Value) -> bool:
    """Check whether a setting of that domain may have the value, for any values of others."""
    return any(inside.contains(value) for inside in space.alternatives(domain))


def _member(domain: Domain, value: Value) -> Value:
    """Return the domain's value that equals this one."""
    return space.canonical(domain, value)


def _written(text: str) -> str:
    """Return a value as a reader expects it."""
    value = json.loads(text)
    return value if isinstance(value, str) and value else text


def _yaml(text: str) -> str:
    """Return a value as a sweep file takes it."""
    value = json.loads(text)
    return f"{{value: {text}}}" if isinstance(value, list) else _written(text)

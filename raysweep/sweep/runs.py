"""Configurations and runs, with the identities that follow from their settings and seeds."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

NO_ESTIMATOR = "none"
"""Name of the estimator of a run whose task takes none."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(data: Any) -> str:
    """Return the canonical text of data: sorted keys, no spaces, shortest floats, ASCII."""
    return _ENCODER.encode(data)


def digest(data: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the data's canonical JSON."""
    return _digest_of_text(canonical_json(data))


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, eq=False)
class Configuration:
    """A task, an estimator, and one value for each of their settings.

    Args:
        task: Registry name of the task.
        task_version: Version of the task, raised when the meaning of its result changes.
        estimator: Registry name of the estimator.
        estimator_version: Version of the estimator, raised when its result changes.
        settings: Value of every setting, by key `section.name`.
        defaults: Declared default of every setting, by the same keys.
    """

    task: str
    task_version: int
    estimator: str
    estimator_version: int
    settings: Mapping[str, Any]
    defaults: Mapping[str, Any]

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """The data that the identity is computed from; settings at their defaults are left out."""
        changed = {
            key: value for key, value in self.settings.items() if _differ(value, self.defaults[key])
        }
        return {
            "task": {"name": self.task, "version": self.task_version},
            "estimator": {"name": self.estimator, "version": self.estimator_version},
            "settings": changed,
        }

    @functools.cached_property
    def configuration_id(self) -> str:
        """Identity of the configuration, without a seed."""
        return _digest_of_text("".join(self._text))

    def run_id(self, seed: int) -> str:
        """Return the identity of the run with a seed: of this identity and the seed."""
        before, after = self._text
        return _digest_of_text(f'{before},"seed":{canonical_json(seed)}{after}')

    @functools.cached_property
    def _text(self) -> tuple[str, str]:
        """Canonical JSON of the identity, before and after the place of a seed."""
        identity = {key: canonical_json(value) for key, value in self.identity.items()}
        return (
            f'{{"estimator":{identity["estimator"]}',
            f',"settings":{identity["settings"]},"task":{identity["task"]}}}',
        )

    @functools.cached_property
    def settings_text(self) -> str:
        """Canonical JSON of all settings, to sort by."""
        return canonical_json(dict(self.settings))

    @functools.cached_property
    def training_text(self) -> str:
        """Canonical JSON of the settings of `training`, to sort by."""
        training = {k: value for k, value in self.settings.items() if k.startswith("training.")}
        return canonical_json(training)

    def section(self, name: str) -> dict[str, Any]:
        """Return the settings of one section, by their names."""
        prefix = name + "."
        return {
            key.removeprefix(prefix): value
            for key, value in self.settings.items()
            if key.startswith(prefix)
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A configuration with a seed: the unit that is identified, stored and counted."""

    configuration: Configuration
    seed: int

    @functools.cached_property
    def run_id(self) -> str:
        """Identity of the run."""
        return self.configuration.run_id(self.seed)


def _differ(value: Any, default: Any) -> bool:
    """Check whether two values have different canonical JSON; most are equal, or of one type."""
    if value is default:
        return False
    if type(value) is type(default) and isinstance(value, str | int):
        return bool(value != default)
    return canonical_json(value) != canonical_json(default)


def pack_id(run_ids: Iterable[str]) -> str:
    """Return the identity of a pack: a digest of its run ids, in order."""
    return digest(list(run_ids))

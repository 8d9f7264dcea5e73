"""Configurations and runs, with the identities that follow from their settings and seeds."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def canonical_json(data: Any) -> str:
    """Return the canonical text of data: sorted keys, no spaces, shortest floats, ASCII."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the data's canonical JSON."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()[:16]


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
            key: value
            for key, value in self.settings.items()
            if canonical_json(value) != canonical_json(self.defaults[key])
        }
        return {
            "task": {"name": self.task, "version": self.task_version},
            "estimator": {"name": self.estimator, "version": self.estimator_version},
            "settings": changed,
        }

    @functools.cached_property
    def configuration_id(self) -> str:
        """Identity of the configuration, without a seed."""
        return digest(self.identity)

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
        return digest({**self.configuration.identity, "seed": self.seed})


def pack_id(run_ids: Iterable[str]) -> str:
    """Return the identity of a pack: a digest of its run ids, in order."""
    return digest(list(run_ids))

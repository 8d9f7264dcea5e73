"""Configurations and runs, with the identities that follow from their settings and seeds."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raysweep.sweep.settings import Settings, canonical_json

NO_ESTIMATOR = "none"
"""Name of the estimator of a run whose task takes none."""


def digest(data: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the data's canonical JSON."""
    return digest_of_text(canonical_json(data))


def digest_of_text(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
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
    _id: str = dataclasses.field(default="", init=False, repr=False)

    @property
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

    @property
    def configuration_id(self) -> str:
        """Identity of the configuration, without a seed."""
        if not self._id:
            object.__setattr__(self, "_id", digest_of_text("".join(self._text())))
        return self._id

    def run_id(self, seed: int) -> str:
        """Return the identity of the run with a seed."""
        return self.run_ids([seed])[0]

    def run_ids(self, seeds: Sequence[int]) -> list[str]:
        """Return the identities of the runs with these seeds: of this identity and the seed."""
        before, after = self._text()
        if not self._id:
            object.__setattr__(self, "_id", digest_of_text(before + after))
        return [digest_of_text(f'{before},"seed":{seed:d}{after}') for seed in seeds]

    def _text(self) -> tuple[str, str]:
        """Return the canonical JSON of the identity, before and after the place of a seed."""
        changed = self.own_settings.changed_text
        estimator = _versioned(self.estimator, self.estimator_version)
        task = _versioned(self.task, self.task_version)
        return f'{{"estimator":{estimator}', f',"settings":{changed},"task":{task}}}'

    @property
    def own_settings(self) -> Settings:
        """The settings, with what they share with others of their arm."""
        return Settings.of(self.settings, self.defaults)

    def section(self, name: str) -> dict[str, Any]:
        """Return the settings of one section, by their names."""
        prefix = name + "."
        return {
            key.removeprefix(prefix): value
            for key, value in self.settings.items()
            if key.startswith(prefix)
        }


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Run:
    """A configuration with a seed: the unit that is identified, stored and counted.

    Args:
        configuration: Configuration of the run.
        seed: Seed of the run.
        run_id: Identity of the run; computed if it is left out.
    """

    configuration: Configuration
    seed: int
    run_id: str = ""

    def __post_init__(self) -> None:
        if not self.run_id:
            object.__setattr__(self, "run_id", self.configuration.run_id(self.seed))


def runs_of(configuration: Configuration, seeds: Sequence[int]) -> list[Run]:
    """Return the runs of a configuration with these seeds."""
    ids = configuration.run_ids(seeds)
    return [Run(configuration, seed, run_id) for seed, run_id in zip(seeds, ids, strict=True)]


@functools.cache
def _versioned(name: str, version: int) -> str:
    """Return the canonical JSON of a task or estimator of a version."""
    return canonical_json({"name": name, "version": version})


def pack_id(run_ids: Iterable[str]) -> str:
    """Return the identity of a pack: a digest of its run ids, in order."""
    return digest(list(run_ids))

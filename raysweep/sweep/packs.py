"""Packs of runs, as a pure function of the runs and the number of workers."""

import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from raysweep.sweep.runs import Run, digest, pack_id
from raysweep.sweep.spec import Arm

T = TypeVar("T")
MAX_REPLICAS = 64
MAX_GPU_REPLICAS = 2**10  # of which workers train as many together as are fastest
MAX_PACK_BYTES = 2**30


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class PlannedRun:
    """A run as plain data, as a worker needs it.

    Args:
        run_id: Identity of the run.
        configuration_id: Identity of its configuration, without the seed.
        seed: Seed of the run.
        task_label: Label of the task, a column of the result table.
        estimator_label: Label of the estimator, a row of the result table.
        settings: Value of every setting, by key `section.name`.
        failures: Number of failed attempts so far.
        executed: Number of steps that earlier attempts executed.
        definition: Identity of the task's and the estimator's versions and defaults; None where
            an older version planned the run.
    """

    run_id: str
    configuration_id: str
    seed: int
    task_label: str
    estimator_label: str
    settings: Mapping[str, Any]
    failures: int = 0
    executed: int = 0
    definition: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**data, "settings": dict(self.settings)}


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Pack:
    """Runs of one program that train together, in one worker.

    Args:
        pack_id: Hash of the ordered run ids that the pack was made of.
        task: Registry name of the task.
        estimator: Registry name of the estimator.
        runs: Runs in the order of the replica axis.
        code: Digests of the source of task and estimator that the pack began with; None where
            they are not known.
    """

    pack_id: str
    task: str
    estimator: str
    runs: tuple[PlannedRun, ...]
    code: str | None = None

    @property
    def arm(self) -> tuple[str, str]:
        """Labels of the arm that its first run belongs to."""
        return self.runs[0].task_label, self.runs[0].estimator_label

    @property
    def rows_name(self) -> str:
        """Base name of the file that holds the pack's rows.

        A run that failed before has a file named after the run, so that its next attempt
        replaces the row, in any pack.
        """
        is_retry = len(self.runs) == 1 and self.runs[0].failures > 0
        return self.runs[0].run_id if is_retry else self.pack_id

    def to_text(self) -> str:
        """Return the pack as JSON."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({**data, "runs": [run.to_json() for run in self.runs]})

    def to_json(self) -> dict[str, Any]:
        """Return the pack as plain data."""
        return json.loads(self.to_text())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pack":
        """Return the pack that `to_json` wrote."""
        runs = tuple(PlannedRun(**run) for run in data["runs"])
        return cls(data["pack_id"], data["task"], data["estimator"], runs, data.get("code"))

    def only(self, run_ids: Iterable[str]) -> "Pack":
        """Return the pack with only these runs; it keeps its identity."""
        wanted = set(run_ids)
        runs = tuple(run for run in self.runs if run.run_id in wanted)
        return dataclasses.replace(self, runs=runs)

    def split(self, *, one_alone: bool = False) -> tuple["Pack", ...]:
        """Split into two new packs of about half the runs, between configurations if possible.

        Args:
            one_alone: Whether the first of the two has one run only.
        """
        middle = len(self.runs) // 2
        middle = min(self._edges(), key=lambda index: abs(index - middle), default=middle)
        return self._cut(1 if one_alone else middle)

    def divided(self, most: int) -> tuple["Pack", ...]:
        """Return two new packs, the first with at most so many runs; this pack if it has no more.

        It is divided between configurations where that leaves the first more than half as many.
        """
        if len(self.runs) <= most:
            return (self,)
        edges = [index for index in self._edges() if most / 2 < index <= most]
        return self._cut(max(edges, default=most))

    def _edges(self) -> list[int]:
        """Return the indices at which another configuration starts."""
        ids = [run.configuration_id for run in self.runs]
        return [index for index in range(1, len(ids)) if ids[index - 1] != ids[index]]

    def _cut(self, index: int) -> tuple["Pack", ...]:
        return tuple(
            make_pack(self.task, self.estimator, part, self.code)
            for part in (self.runs[:index], self.runs[index:])
        )


def make_pack(
    task: str, estimator: str, runs: Sequence[PlannedRun], code: str | None = None
) -> Pack:
    """Create a pack of these runs."""
    return Pack(pack_id(run.run_id for run in runs), task, estimator, tuple(runs), code)


def rows_name_of(packs: Sequence[Pack]) -> str:
    """Return the base name of a file with rows of the first few of these packs.

    All of them train once that file is written, so that no earlier file of that name, of a session
    that ended, has a row of a run that has ended since.
    """
    if len(packs) == 1:
        return packs[0].rows_name
    return pack_id(run.run_id for pack in packs for run in pack.runs)


def joined(packs: Sequence[Pack], limit: int) -> list[Pack]:
    """Return packs of at most so many runs with all runs of these packs, of one program."""
    runs = [run for pack in packs for run in pack.runs]
    first = packs[0]
    return [
        make_pack(first.task, first.estimator, part, first.code)
        for part in _even_parts(runs, limit)
    ]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ArmRun:
    """A run, with the arm that it belongs to."""

    arm: Arm
    run: Run

    def planned(self, failures: int = 0, executed: int = 0) -> PlannedRun:
        """Return the run as a worker needs it.

        Args:
            failures: Number of failed attempts so far.
            executed: Number of steps that failed attempts executed.
        """
        return PlannedRun(
            self.run.run_id,
            self.run.configuration.configuration_id,
            self.run.seed,
            self.arm.task_label,
            self.arm.estimator_label,
            self.run.configuration.settings,
            failures,
            executed,
            definition=self.arm.definition,
        )

    @property
    def program(self) -> str:
        """Identity of all that the runs of a pack share: task, estimator, and fixed settings."""
        one = self.run.configuration
        shared = {k: value for k, value in one.settings.items() if k not in self.arm.per_replica}
        names = (one.task, one.task_version), (one.estimator, one.estimator_version)
        return digest([*({"name": name, "version": version} for name, version in names), shared])


def _no_limit(arm_run: ArmRun) -> int:
    return sys.maxsize


@dataclasses.dataclass(frozen=True)
class PackSize:
    """Limit on the number of runs in a pack.

    Args:
        wanted: Number of runs from the sweep file, or `auto`.
        workers: Number of packs that can train at the same time.
        replica_bytes: Function that returns the memory of one run of a program.
        together: Whether the seeds of a configuration share a pack where they fit, so that early
            stopping can compare and stop them together.
        most: Function that returns the largest number of runs that a program can train together.
        pack_bytes: Largest estimated memory of a pack, on the device that has most.
        most_replicas: Largest number of runs in a pack, for any program.
    """

    wanted: int | Literal["auto"]
    workers: int
    replica_bytes: Callable[[ArmRun], int]
    together: bool = False
    most: Callable[[ArmRun], int] = _no_limit
    pack_bytes: int = MAX_PACK_BYTES
    most_replicas: int = MAX_REPLICAS

    def limit(self, runs: Sequence[ArmRun]) -> int:
        """Return the largest number of runs in a pack of this program."""
        capacity = self.capacity(runs)
        if self.wanted != "auto":
            return capacity
        by_workers = math.ceil(len(runs) / max(1, self.workers))
        return max(1, min(capacity, by_workers))

    def capacity(self, runs: Sequence[ArmRun]) -> int:
        """Return how many runs of this program fit into a pack, for any number of workers."""
        most = self.most(runs[0])
        if self.wanted != "auto":
            return min(self.wanted, most)
        fitting = self.pack_bytes // max(1, self.replica_bytes(runs[0]))
        return min(self.most_replicas, most, fitting)


def cut(
    runs: Sequence[ArmRun],
    missing: Callable[[ArmRun], bool],
    failures: Mapping[str, int],
    size: PackSize,
) -> list[Pack]:
    """Group the missing runs into packs.

    Packs are cut from all planned runs, then ended runs are dropped, so that a resumed sweep gets
    the same packs and the same results, to the last bit. A run that failed before trains alone.

    Args:
        runs: Every planned run once, ended ones included.
        missing: Function that returns whether a run must still train.
        failures: Number of failed attempts, by run id.
        size: Limit on the number of runs in a pack.
    """
    packs: list[Pack] = []
    for group in _by_program(runs):
        wanted = [arm_run for arm_run in group if missing(arm_run)]
        if not wanted:
            continue
        together = {id(arm_run) for arm_run in wanted if not failures.get(arm_run.run.run_id)}
        order = _Order(group)
        for part in _parts(group, size, order):
            rest = [arm_run for arm_run in part if id(arm_run) in together]
            if rest:
                packs.append(_pack(sorted(rest, key=order.by_optimizer), failures))
        alone = [arm_run for arm_run in wanted if id(arm_run) not in together]
        packs += [_pack([arm_run], failures) for arm_run in alone]
    return packs


def _pack(runs: Sequence[ArmRun], failures: Mapping[str, int]) -> Pack:
    first = runs[0].run.configuration
    planned = [arm_run.planned(failures.get(arm_run.run.run_id, 0)) for arm_run in runs]
    return make_pack(first.task, first.estimator, planned, runs[0].arm.code)


def _by_program(runs: Iterable[ArmRun]) -> list[list[ArmRun]]:
    """Return the runs of each program, in the order of the first of them."""
    groups: dict[str, list[ArmRun]] = {}
    known: dict[tuple[Any, ...], list[ArmRun]] = {}
    last, group = None, []
    for arm_run in runs:
        if arm_run.run.configuration is not last:  # all seeds have the same
            last = arm_run.run.configuration
            arm = arm_run.arm
            key = (id(arm), *last.own_settings.texts_outside(arm.per_replica))
            if key not in known:
                known[key] = groups.setdefault(arm_run.program, [])
            group = known[key]
        group.append(arm_run)
    return list(groups.values())


class _Order:
    """Orders of the runs of a program, by the texts of their settings.

    Args:
        group: Runs of the program.
    """

    def __init__(self, group: Sequence[ArmRun]) -> None:
        configurations = {id(one.run.configuration): one.run.configuration for one in group}
        settings = [configuration.own_settings for configuration in configurations.values()]
        # Within an arm, the settings that do not vary need not be compared.
        is_one_arm = all(one.shared is settings[0].shared for one in settings)
        pairs = [one.sort_texts(short=is_one_arm) for one in settings]
        self._training = dict(zip(configurations, _ranks([text for text, _ in pairs]), strict=True))
        self._settings = dict(zip(configurations, _ranks([text for _, text in pairs]), strict=True))

    def by_configuration(self, arm_run: ArmRun) -> tuple[int, int]:
        """Return a sort key by settings, then by seed."""
        return self._settings[id(arm_run.run.configuration)], arm_run.run.seed

    def by_seed(self, arm_run: ArmRun) -> tuple[int, int]:
        """Return a sort key that starts with the seed: new seeds leave the old packs unchanged."""
        return arm_run.run.seed, self._settings[id(arm_run.run.configuration)]

    def by_optimizer(self, arm_run: ArmRun) -> tuple[int, int, int]:
        """Return a sort key by optimizer settings: equal ones side by side share a kernel call."""
        key = id(arm_run.run.configuration)
        return self._training[key], self._settings[key], arm_run.run.seed


def _ranks(texts: Sequence[str]) -> list[int]:
    """Return the position of each text among all of them; equal ones have the same."""
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    return [ranks[text] for text in texts]


def _parts(group: Sequence[ArmRun], size: PackSize, order: _Order) -> list[Sequence[ArmRun]]:
    """Divide the runs of a program into parts of at most the size of a pack."""
    limit = size.limit(group)
    if not size.together:
        return _even_parts(sorted(group, key=order.by_seed), limit)
    by_configuration: dict[str, list[ArmRun]] = {}
    for arm_run in sorted(group, key=order.by_configuration):
        configuration_id = arm_run.run.configuration.configuration_id
        by_configuration.setdefault(configuration_id, []).append(arm_run)
    configurations = list(by_configuration.values())
    seeds = max(len(runs) for runs in configurations)
    if size.capacity(group) < seeds:
        return [part for runs in configurations for part in _even_parts(runs, limit)]
    shares = _even_parts(configurations, max(1, limit // seeds))
    return [[arm_run for runs in share for arm_run in runs] for share in shares]


def _even_parts(items: Sequence[T], limit: int) -> list[Sequence[T]]:
    parts = math.ceil(len(items) / limit)
    edges = [round(index * len(items) / parts) for index in range(parts + 1)]
    return [items[start:end] for start, end in itertools.pairwise(edges)]

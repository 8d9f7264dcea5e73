"""Which runs go into which packs. Pure: a function of the runs and the number of workers."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from raysweep.sweep.runs import Run, canonical_json, digest, pack_id
from raysweep.sweep.spec import Arm

T = TypeVar("T")
MAX_REPLICAS = 64
MAX_PACK_BYTES = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class PlannedRun:
    """A run as a worker needs it, in plain data.

    Args:
        run_id: Identity.
        configuration_id: Identity without the seed.
        seed: The seed.
        task_label: Column of the result table.
        estimator_label: Row of the result table.
        settings: Every setting by key `section.name`.
        failures: Failed attempts so far.
        executed: Steps that earlier attempts executed.
        definition: Identity of the task's and the estimator's versions and defaults; None where
            an older version planned it.
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


@dataclasses.dataclass(frozen=True, eq=False)
class Pack:
    """Runs of one program, trained together by one trial.

    Args:
        pack_id: Hash of the ordered run ids it was cut with.
        task: Registry name.
        estimator: Registry name.
        runs: In the order of the replica axis.
        code: Digests of the source of task and estimator that it began with; None where they are
            not known.
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
        """Base name of the file of its rows.

        The row of a run that failed has a file named after the run, which its next attempt
        replaces, whatever pack that belongs to.
        """
        alone = len(self.runs) == 1 and self.runs[0].failures > 0
        return self.runs[0].run_id if alone else self.pack_id

    def to_json(self) -> dict[str, Any]:
        """The pack as plain data."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pack":
        """The pack that `to_json` wrote."""
        runs = tuple(PlannedRun(**each) for each in data["runs"])
        return cls(data["pack_id"], data["task"], data["estimator"], runs, data.get("code"))

    def only(self, run_ids: Iterable[str]) -> "Pack":
        """The same pack without the other runs; it keeps its identity."""
        wanted = set(run_ids)
        runs = tuple(run for run in self.runs if run.run_id in wanted)
        return dataclasses.replace(self, runs=runs)

    def split(self) -> tuple["Pack", ...]:
        """Two new packs of about half the runs each, between two configurations if it can be."""
        middle = len(self.runs) // 2
        edges = [
            place
            for place in range(1, len(self.runs))
            if self.runs[place - 1].configuration_id != self.runs[place].configuration_id
        ]
        middle = min(edges, key=lambda place: abs(place - middle), default=middle)
        return tuple(
            make_pack(self.task, self.estimator, part, self.code)
            for part in (self.runs[:middle], self.runs[middle:])
        )


def make_pack(
    task: str, estimator: str, runs: Sequence[PlannedRun], code: str | None = None
) -> Pack:
    """A new pack of these runs."""
    return Pack(pack_id(run.run_id for run in runs), task, estimator, tuple(runs), code)


@dataclasses.dataclass(frozen=True, eq=False)
class ArmRun:
    """A run of an arm."""

    arm: Arm
    run: Run

    def planned(self, failures: int = 0, executed: int = 0) -> PlannedRun:
        """The run as a worker needs it.

        Args:
            failures: Failed attempts so far.
            executed: Steps that they executed.
        """
        return PlannedRun(
            self.run.run_id,
            self.run.configuration.configuration_id,
            self.run.seed,
            self.arm.task_label,
            self.arm.estimator_label,
            dict(self.run.configuration.settings),
            failures,
            executed,
            definition=self.arm.definition,
        )

    @property
    def program(self) -> str:
        """What the runs of one pack share: shapes, classes, and every setting fixed in a pack."""
        settings = self.run.configuration.settings
        fixed = {key: value for key, value in settings.items() if key not in self.arm.per_replica}
        identity = self.run.configuration.identity
        return digest([identity["task"], identity["estimator"], fixed])


@dataclasses.dataclass(frozen=True)
class PackSize:
    """How many runs a pack may hold.

    Args:
        wanted: A number, or `auto`.
        workers: Packs that can train at the same time.
        replica_bytes: What one run of a program holds.
        together: Whether the seeds of a configuration share a pack where they fit, so that they
            can be judged, and leave, together.
    """

    wanted: int | Literal["auto"]
    workers: int
    replica_bytes: Callable[[ArmRun], int]
    together: bool = False

    def of(self, members: Sequence[ArmRun]) -> int:
        """The most runs that a pack of this program holds."""
        if self.wanted != "auto":
            return self.wanted
        by_workers = math.ceil(len(members) / max(1, self.workers))
        return max(1, min(self.room(members), by_workers))

    def room(self, members: Sequence[ArmRun]) -> int:
        """The most runs of this program that could ever share a pack."""
        if self.wanted != "auto":
            return self.wanted
        return min(MAX_REPLICAS, MAX_PACK_BYTES // max(1, self.replica_bytes(members[0])))


def cut(
    members: Sequence[ArmRun],
    missing: Callable[[ArmRun], bool],
    failures: Mapping[str, int],
    size: PackSize,
) -> list[Pack]:
    """Packs of the missing members.

    All members are cut, and the ended ones left out afterwards: so a sweep that was killed is cut
    as it was before, and its packs come out the same to the last bit. Runs that failed before go
    alone.

    Args:
        members: Every run planned, ended ones too, each once.
        missing: Whether a member has still to run.
        failures: Failed attempts by run id.
        size: How many runs a pack may hold.
    """
    programs: dict[str, list[ArmRun]] = {}
    for member in members:
        programs.setdefault(member.program, []).append(member)
    packs: list[Pack] = []
    for group in programs.values():
        wanted = [member for member in group if missing(member)]
        if not wanted:
            continue
        together = {id(member) for member in wanted if not failures.get(member.run.run_id)}
        for part in _parts(group, size):
            rest = [member for member in part if id(member) in together]
            if rest:
                packs.append(_pack(sorted(rest, key=_by_optimizer), failures))
        alone = [member for member in wanted if id(member) not in together]
        packs += [_pack([member], failures) for member in alone]
    return packs


def _pack(members: Sequence[ArmRun], failures: Mapping[str, int]) -> Pack:
    first = members[0].run.configuration
    runs = [member.planned(failures.get(member.run.run_id, 0)) for member in members]
    return make_pack(first.task, first.estimator, runs, members[0].arm.code)


def _parts(group: Sequence[ArmRun], size: PackSize) -> list[Sequence[ArmRun]]:
    """The members of a program in parts as large as packs may be."""
    most = size.of(group)
    if not size.together:
        return _even_parts(sorted(group, key=_by_seed), most)
    configurations: dict[str, list[ArmRun]] = {}
    for member in sorted(group, key=lambda each: (_settings_key(each), each.run.seed)):
        configuration_id = member.run.configuration.configuration_id
        configurations.setdefault(configuration_id, []).append(member)
    whole = list(configurations.values())
    seeds = max(len(each) for each in whole)
    if size.room(group) < seeds:
        return [part for each in whole for part in _even_parts(each, most)]
    shares = _even_parts(whole, max(1, most // seeds))
    return [[member for each in share for member in each] for share in shares]


def _even_parts(members: Sequence[T], most: int) -> list[Sequence[T]]:
    parts = math.ceil(len(members) / most)
    edges = [round(each * len(members) / parts) for each in range(parts + 1)]
    return [members[a:b] for a, b in itertools.pairwise(edges)]


def _by_seed(member: ArmRun) -> tuple[int, str]:
    """Seeds first: a sweep extended by seeds then leaves the packs of the old ones whole."""
    return member.run.seed, _settings_key(member)


def _by_optimizer(member: ArmRun) -> tuple[str, str, int]:
    """Equal optimizer settings side by side: one kernel call serves them all."""
    settings = member.run.configuration.settings
    training = {key: value for key, value in settings.items() if key.startswith("training.")}
    return canonical_json(training), _settings_key(member), member.run.seed


def _settings_key(member: ArmRun) -> str:
    return canonical_json(dict(member.run.configuration.settings))

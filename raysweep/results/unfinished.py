"""Packs that began and have not ended, and which of their runs the present sweep file plans.

A run of such a pack has no row in `runs`, but may have rows in `curves`, up to the pack's last
checkpoint. Its settings and seed are in the pack's manifest, with the labels of the file that it
began with; its present labels follow from them, as those of stored runs do.
"""

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.results.frame import RunFrame
from raysweep.results.membership import Membership, membership_with, shown_configurations
from raysweep.results.reader import meeting_rows, read_all
from raysweep.store import checkpoints, schema
from raysweep.store.checkpoints import Manifest
from raysweep.store.rows import run_row
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.spec import Spec
from raysweep.text import counted

MAX_IDS = 3  # packs that a command names


@dataclasses.dataclass(frozen=True, eq=False)
class Unfinished:
    """Runs of packs that began and have not ended.

    Args:
        manifests: Description of each pack, by its id.
        rows: A row of `runs` for each run that still trains, with the labels of the file that it
            began with; what is known of ended runs alone is null.
        labels: Present labels of these runs.
    """

    manifests: Mapping[str, Manifest]
    rows: pa.Table
    labels: Membership

    @functools.cached_property
    def planned(self) -> pa.Table:
        """The runs that the file plans, one row for each arm that plans one."""
        return self.labels.planned(self.rows)

    @functools.cached_property
    def stale(self) -> set[str]:
        """Ids of the packs without a run that the file plans; only an edited file resumes them."""
        return self.manifests.keys() - set(self.planned["pack_id"].to_pylist())

    def planned_or_former(self, seeds: Sequence[int]) -> set[str]:
        """Return the ids of the runs that the file plans, or would plan with former defaults.

        Args:
            seeds: All seeds that the file plans.
        """
        former = pc.is_in(self.rows["run_id"], self.labels.outdated)
        on_seeds = pc.is_in(self.rows["seed"], pa.array(list(seeds), pa.int64()))
        rows = self.rows.filter(pc.and_(former, on_seeds))
        return {*self.planned["run_id"].to_pylist(), *rows["run_id"].to_pylist()}

    def runs_of(self, pack: Manifest) -> int:
        """Return the number of a pack's runs that still train."""
        return len(self._ids_by_pack[pack.pack.pack_id])

    def meeting(self, where: str, field: str) -> set[str]:
        """Return the ids of the runs that meet a condition in SQL, under their present labels.

        Args:
            where: Condition in SQL over the columns of `runs`; `status` of these runs is null.
            field: Name of the argument that holds the condition, for the error.

        Raises:
            SpecError: If DuckDB refuses the condition.
        """
        if not self.rows.num_rows:
            return set()
        return set(meeting_rows(self.rows, self.labels, where, field))

    def packs_with(self, run_ids: Collection[str]) -> list[Manifest]:
        """Return the packs that have one of these runs."""
        ids = self._ids_by_pack
        return [one for pack_id, one in self.manifests.items() if ids[pack_id] & set(run_ids)]

    def packs_of(self, run_ids: Collection[str]) -> list[Manifest]:
        """Return the packs all of whose runs are among these."""
        ids = self._ids_by_pack
        return [one for pack_id, one in self.manifests.items() if ids[pack_id] <= set(run_ids)]

    @functools.cached_property
    def _ids_by_pack(self) -> dict[str, set[str]]:
        ids: dict[str, set[str]] = {}
        pairs = zip(*(self.rows[name].to_pylist() for name in ("pack_id", "run_id")), strict=True)
        for pack_id, run_id in pairs:
            ids.setdefault(pack_id, set()).add(run_id)
        return ids


def unfinished(spec: Spec, store: SweepStore) -> Unfinished:
    """Return the packs that began and have not ended.

    Args:
        spec: The sweep file as it is now.
        store: The sweep's folder.

    Raises:
        StoreError: If the store cannot be read.
    """
    manifests = checkpoints.in_flight(store.files)
    rows = _rows(spec, store, manifests)
    packs = set(rows["pack_id"].to_pylist())
    frame = RunFrame(rows)
    shown = {}
    if set(frame.seeds.tolist()) & set(spec.report_seeds):
        shown = shown_configurations(spec, read_all(store, spec))
    return Unfinished(
        {one.pack.pack_id: one for one in manifests if one.pack.pack_id in packs},
        rows,
        membership_with(spec, frame, shown),
    )


def _rows(spec: Spec, store: SweepStore, manifests: Sequence[Manifest]) -> pa.Table:
    """Return a row for each run that has not ended."""
    columns = store.schema("runs", schema.runs_schema(spec))
    ended = _ended(store, [run_id for one in manifests for run_id in one.active])
    rows = {}
    for manifest in manifests:
        active = set(manifest.active) - ended
        for run in manifest.pack.runs:
            if run.run_id in active:
                stored = dataclasses.replace(run, settings=_fitting(run.settings, columns))
                rows[run.run_id] = run_row(spec.name, manifest.pack, stored, columns)
    return schema.rows_table(rows.values(), columns)


def _fitting(settings: Mapping[str, Any], columns: pa.Schema) -> dict[str, Any]:
    """Return the settings that have a column of their type, which those of a former file lack."""
    fitting = {}
    for key, value in settings.items():
        if f"param.{key}" in columns.names:
            field = columns.field(f"param.{key}")
            if schema.is_json(field) or _fits(value, field.type):
                fitting[key] = value
    return fitting


def _fits(value: Any, kind: pa.DataType) -> bool:
    """Return whether a plain value can be written into a column of a type."""
    if value is None:
        return True
    if pa.types.is_boolean(kind):
        return isinstance(value, bool)
    if pa.types.is_string(kind):
        return isinstance(value, str)
    types = int if pa.types.is_integer(kind) else (int, float)
    return isinstance(value, types) and not isinstance(value, bool)


def _ended(store: SweepStore, run_ids: Sequence[str]) -> set[str]:
    """Return the ids of those runs that ended; one that failed may be in training again."""
    if not run_ids:
        return set()
    wanted = pc.field("run_id").isin(pa.array(run_ids, pa.string()))
    rows = store.read(store.dataset("runs"), ["run_id", "status"], wanted)
    return set(rows.filter(pc.not_equal(rows["status"], "failed"))["run_id"].to_pylist())


def stale_packs(sweep: str, packs: Collection[str]) -> str:
    """Return a line on packs that the file no longer plans; empty if there are none.

    Args:
        sweep: Name of the sweep.
        packs: Ids of these packs.
    """
    if not packs:
        return ""
    verb, them = ("stays", "it") if len(packs) == 1 else ("stay", "them")
    listed = ", ".join(f"'{pack_id}'" for pack_id in sorted(packs))
    # By their ids, as `plan` knows a file that `rm` does not, unless they are many.
    chosen = f"pack_id in ({listed})" if len(packs) <= MAX_IDS else "not in_plan"
    return (
        f"{counted(len(packs), 'unfinished pack')} that the file no longer plans {verb} in the "
        f"store, in case it plans {them} again; "
        f'`raysweep rm {sweep} --where "{chosen} and status is null"` deletes {them}'
    )

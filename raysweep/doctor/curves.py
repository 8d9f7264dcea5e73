"""Checks of curves: each step of an ended run once, and no curves of unknown packs."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.doctor.content import pack_of
from raysweep.doctor.finding import Finding, again, named
from raysweep.doctor.rows import Row
from raysweep.store import aside, curve_files
from raysweep.store.files import Files
from raysweep.text import counted

_KEY = ["run_id", "step"]


@dataclass
class Scan:
    """Runs and steps in the undamaged files of curves.

    Args:
        files: The sweep's folder.
        names: Names of each pack's undamaged files.
        steps: Number of steps of each run in each pack.
        repeated: Ids of runs with steps that one pack has twice.
    """

    files: Files
    names: Mapping[str, Sequence[str]]
    steps: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    repeated: set[str] = field(default_factory=set)

    def of(self, pack_id: str, run_ids: Collection[str] | None = None) -> pa.Table:
        """Return run and step of each row of a pack."""
        tables = [self.files.read_table(name).select(_KEY) for name in self.names[pack_id]]
        table = pa.concat_tables(tables)
        if run_ids is None:
            return table
        return table.filter(pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string())))

    def shared(self) -> dict[str, dict[str, set[int]]]:
        """Return the steps of runs that several packs have, by run and pack."""
        runs = {run_id for run_id, packs in self.steps.items() if len(packs) > 1}
        steps: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for pack_id in sorted({pack for run_id in runs for pack in self.steps[run_id]}):
            for row in self.of(pack_id, runs).to_pylist():
                steps[row["run_id"]][pack_id].add(row["step"])
        return steps


def scan(files: Files, damaged: Collection[str]) -> Scan:
    """Read the undamaged files of curves.

    Args:
        files: The sweep's folder.
        damaged: Names of damaged files.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name in files.names("curves", ".parquet"):
        if name not in damaged:
            names[pack_of(name)].append(name)
    result = Scan(files, names)
    for pack_id in names:
        steps = result.of(pack_id).group_by(_KEY).aggregate([([], "count_all")])
        twice = steps.filter(pc.greater(steps["count_all"], 1))
        result.repeated.update(twice["run_id"].to_pylist())
        counts = steps.group_by("run_id").aggregate([([], "count_all")]).to_pylist()
        for row in counts:
            result.steps[row["run_id"]][pack_id] = row["count_all"]
    return result


def orphans(files: Files) -> Iterator[Finding]:
    """Yield a finding if packs have curves, but neither rows nor a checkpoint."""
    names = curve_files.orphans(files)
    if not names:
        return

    def mend() -> None:
        for name in curve_files.orphans(files):
            aside.set_aside(files, name)

    yield Finding(
        "curves",
        f"{counted(len(names), 'file')} of packs that have neither rows nor a checkpoint, so that "
        f"runs that train again would have their curves twice: {named(names)}",
        fixed="they are moved to damaged/",
        fix=mend,
    )


def findings(
    files: Files, rows: Sequence[Row], damaged: Collection[str], *, alone: bool
) -> Iterator[Finding]:
    """Yield findings for steps that exist twice, and for ended runs with incomplete curves.

    Args:
        files: The sweep's folder.
        rows: One row for each ended run.
        damaged: Names of damaged files.
        alone: Whether no driver changes the files meanwhile.
    """
    scanned = scan(files, damaged)
    owner = {row.run_id: row.pack_id for row in rows}
    shared = scanned.shared()
    if alone:
        yield from _repeated(scanned, owner, shared)
    broken = {pack_of(name) for name in damaged if name.startswith("curves/")}
    lacking = []
    for row in rows:
        steps = scanned.steps.get(row.run_id, {})
        by_pack = shared.get(row.run_id)
        count = len(set().union(*by_pack.values())) if by_pack else sum(steps.values())
        if count < row.curve_rows and row.pack_id not in broken:
            lacking.append(row)
    yield from _lacking(scanned, lacking, rows)


def _lacking(scanned: Scan, lacking: Sequence[Row], rows: Sequence[Row]) -> Iterator[Finding]:
    for empty in (True, False):
        selected = [row for row in lacking if (row.run_id not in scanned.steps) == empty]
        if not selected:
            continue
        run_ids = {row.run_id for row in selected}
        whole_packs = {row.pack_id for row in selected} - {
            row.pack_id for row in rows if row.run_id not in run_ids
        }
        column, ids = "run_id", sorted(run_ids)
        if {row.pack_id for row in selected} == whole_packs:  # a shorter command
            column, ids = "pack_id", sorted(whole_packs)
        count = counted(len(run_ids), "ended run")
        problem = (
            f"{count} without curves" if empty else f"{count} with steps missing in the curves"
        )
        yield Finding("curves", f"{problem}: {named(sorted(run_ids))}", again(column, ids))


def _repeated(
    scanned: Scan, owner: Mapping[str, str], shared: Mapping[str, Mapping[str, set[int]]]
) -> Iterator[Finding]:
    """Yield findings for steps that exist twice.

    Steps that packs in flight share are left to the next session, which resumes one of them.
    """
    if run_ids := sorted(scanned.repeated & owner.keys()):
        count = counted(len(run_ids), "run")
        problem = f"steps of {count} exist twice in the files of one pack: {named(run_ids)}"
        yield Finding("curves", problem, again("run_id", run_ids))
    surplus: dict[str, set[tuple[str, int]]] = defaultdict(set)
    runs = set()
    for run_id, packs in shared.items():
        kept = packs.get(owner.get(run_id, ""), set())
        for pack_id, steps in packs.items():
            if pack_id != owner.get(run_id) and steps & kept:
                runs.add(run_id)
                surplus[pack_id] |= {(run_id, step) for step in steps & kept}
    if runs:
        yield Finding(
            "curves",
            f"steps of {counted(len(runs), 'run')} exist in the files of two packs: "
            f"{named(sorted(runs))}",
            fixed="those of the pack that ended the run are kept",
            fix=lambda: _drop(scanned, surplus),
        )


def _drop(scanned: Scan, surplus: Mapping[str, Collection[tuple[str, int]]]) -> None:
    """Remove rows from the files of packs."""
    for pack_id, keys in surplus.items():
        for name in scanned.names[pack_id]:
            table = scanned.files.read_table(name)
            pairs = zip(table["run_id"].to_pylist(), table["step"].to_pylist(), strict=True)
            rest = table.filter(pa.array([pair not in keys for pair in pairs], pa.bool_()))
            if rest.num_rows == 0:
                scanned.files.remove(name)
            elif rest.num_rows < table.num_rows:
                scanned.files.write_table(name, rest)

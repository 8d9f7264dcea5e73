"""Curves of a sweep: complete, each step once, and of packs that are known."""

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
    """Runs and steps in the files of curves.

    Args:
        files: The sweep's folder.
        names: Names of the whole files of each pack.
        steps: Number of steps of each run in each pack.
        repeated: Runs with steps that one pack has twice.
    """

    files: Files
    names: Mapping[str, Sequence[str]]
    steps: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    repeated: set[str] = field(default_factory=set)

    def of(self, pack_id: str, run_ids: Collection[str] | None = None) -> pa.Table:
        """Run and step of each row that a pack has."""
        tables = [self.files.read_table(name).select(_KEY) for name in self.names[pack_id]]
        table = pa.concat_tables(tables)
        if run_ids is None:
            return table
        return table.filter(pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string())))

    def shared(self) -> dict[str, dict[str, set[int]]]:
        """The steps of runs that several packs have, by run and pack."""
        runs = {run_id for run_id, packs in self.steps.items() if len(packs) > 1}
        found: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for pack_id in sorted({pack for run_id in runs for pack in self.steps[run_id]}):
            for row in self.of(pack_id, runs).to_pylist():
                found[row["run_id"]][pack_id].add(row["step"])
        return found


def scan(files: Files, damaged: Collection[str]) -> Scan:
    """Looks through the files of curves that are whole.

    Args:
        files: The sweep's folder.
        damaged: Names of damaged files.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name in files.names("curves", ".parquet"):
        if name not in damaged:
            names[pack_of(name)].append(name)
    found = Scan(files, names)
    for pack_id in names:
        steps = found.of(pack_id).group_by(_KEY).aggregate([([], "count_all")])
        twice = steps.filter(pc.greater(steps["count_all"], 1))
        found.repeated.update(twice["run_id"].to_pylist())
        counts = steps.group_by("run_id").aggregate([([], "count_all")]).to_pylist()
        for row in counts:
            found.steps[row["run_id"]][pack_id] = row["count_all"]
    return found


def orphans(files: Files) -> Iterator[Finding]:
    """Curves of packs that have neither rows nor a checkpoint."""
    found = curve_files.orphans(files)
    if not found:
        return

    def mend() -> None:
        for name in curve_files.orphans(files):
            aside.set_aside(files, name)

    yield Finding(
        "curves",
        f"{counted(len(found), 'file')} of packs that have neither rows nor a checkpoint, so that "
        f"runs that train again would have their curves twice: {named(found)}",
        fixed="they are set aside, below damaged/",
        fix=mend,
    )


def findings(
    files: Files, rows: Sequence[Row], damaged: Collection[str], *, alone: bool
) -> Iterator[Finding]:
    """Steps that are there twice, and runs that ended whose curves are not complete.

    Args:
        files: The sweep's folder.
        rows: The row of each ended run.
        damaged: Names of damaged files.
        alone: Whether no driver changes the files meanwhile.
    """
    found = scan(files, damaged)
    owner = {row.run_id: row.pack_id for row in rows}
    shared = found.shared()
    if alone:
        yield from _repeated(found, owner, shared)
    broken = {pack_of(name) for name in damaged if name.startswith("curves/")}
    lacking = []
    for row in rows:
        steps = found.steps.get(row.run_id, {})
        own = shared.get(row.run_id)
        count = len(set().union(*own.values())) if own else sum(steps.values())
        if count < row.curve_rows and row.pack_id not in broken:
            lacking.append(row)
    yield from _lacking(found, lacking, rows)


def _lacking(found: Scan, lacking: Sequence[Row], rows: Sequence[Row]) -> Iterator[Finding]:
    for empty in (True, False):
        some = [row for row in lacking if (row.run_id not in found.steps) == empty]
        if not some:
            continue
        gone = {row.run_id for row in some}
        whole = {row.pack_id for row in some} - {
            row.pack_id for row in rows if row.run_id not in gone
        }
        column, ids = "run_id", sorted(gone)
        if {row.pack_id for row in some} == whole:  # fewer ids say the same
            column, ids = "pack_id", sorted(whole)
        what = "no curves" if empty else "steps are missing in the curves"
        problem = f"{what} of {counted(len(gone), 'run')} that ended: {named(sorted(gone))}"
        yield Finding("curves", problem, again(column, ids))


def _repeated(
    found: Scan, owner: Mapping[str, str], shared: Mapping[str, Mapping[str, set[int]]]
) -> Iterator[Finding]:
    """Steps that are there twice.

    What packs in flight share is left to the next session, which resumes one of them.
    """
    if inside := sorted(found.repeated & owner.keys()):
        problem = (
            f"steps of {counted(len(inside), 'run')} are twice in one pack's files: {named(inside)}"
        )
        yield Finding("curves", problem, again("run_id", inside))
    surplus: dict[str, set[tuple[str, int]]] = defaultdict(set)
    runs = set()
    for run_id, packs in shared.items():
        own = packs.get(owner.get(run_id, ""), set())
        for pack_id, steps in packs.items():
            if pack_id != owner.get(run_id) and steps & own:
                runs.add(run_id)
                surplus[pack_id] |= {(run_id, step) for step in steps & own}
    if runs:
        yield Finding(
            "curves",
            f"steps of {counted(len(runs), 'run')} are in the files of two packs: "
            f"{named(sorted(runs))}",
            fixed="those of the pack that ended the run are kept",
            fix=lambda: _drop(found, surplus),
        )


def _drop(found: Scan, surplus: Mapping[str, Collection[tuple[str, int]]]) -> None:
    """Removes rows from the files of packs."""
    for pack_id, keys in surplus.items():
        for name in found.names[pack_id]:
            table = found.files.read_table(name)
            pairs = zip(table["run_id"].to_pylist(), table["step"].to_pylist(), strict=True)
            rest = table.filter(pa.array([pair not in keys for pair in pairs], pa.bool_()))
            if rest.num_rows == 0:
                found.files.remove(name)
            elif rest.num_rows < table.num_rows:
                found.files.write_table(name, rest)

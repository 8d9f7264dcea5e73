"""Merges small files of `runs` into large ones, so that nobody ever sees a row twice or loses one.

The merged rows wait in `merging/` until the files that they come from are gone, and are then moved
in among the others. What is under way is written down first: whoever drives the sweep next, or
merges again, ends what a killed process began, and readers count the waiting file in. The plan
holds its digest: nothing is removed, and nothing counted in, before the merged file is whole.
"""

import dataclasses
import hashlib
import logging
import re
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import json_file, parquet, parquet_files
from raysweep.store.aside import set_aside
from raysweep.store.files import Files, Info
from raysweep.sweep.runs import digest

MOST_ROWS = 2**17  # of a merged file
LARGE = 4 * 2**20  # bytes: a file that stays as it is
# A worker whose driver was killed may write its rows again until it notices; it has 30 seconds.
SETTLED_S = 90.0
ROWS = "merging/rows.parquet"
PLAN = "merging/plan.json"
_FILE = re.compile(r"runs/[0-9a-f]{16}\.parquet")

log = logging.getLogger("raysweep")


class IncompleteMerge(StoreError):
    """A merge was cut off, and neither the merged file nor all its sources are there."""


@dataclasses.dataclass(frozen=True)
class Merge:
    """Files that become one.

    Args:
        target: Name of the merged file.
        sources: Names of the files that it replaces.
        rows: Number of rows in all of them; None where an older version made the plan.
        sha256: Digest of the merged file; None where an older version made the plan.
    """

    target: str
    sources: tuple[str, ...]
    rows: int | None = None
    sha256: str | None = None


def under_way(files: Files) -> Merge | None:
    """The merge that is going on, or that a killed process left.

    Raises:
        DamagedFile: If its plan is not what was written.
    """
    return json_file.read_json(files, PLAN, _merge_of, "the plan of a merge")


def _merge_of(data: Any) -> Merge:
    json_file.check_digest(data, key="digest", required="rows" in data)
    target, sources = data["target"], data["sources"]
    if not isinstance(sources, list):
        raise TypeError("sources that are no list")
    for name in (target, *sources):
        if not isinstance(name, str) or not _FILE.fullmatch(name):
            raise ValueError(f"file {name!r}")
    return Merge(target, tuple(sources), data.get("rows"), data.get("sha256"))


def names_of_rows(files: Files) -> list[str]:
    """The files that hold every row of `runs` once, whatever is under way.

    A merge that begins, goes on or ends while the files are listed would hide rows: what is under
    way has to be the same before and after.

    Raises:
        IncompleteMerge: If a merge was cut off, and neither the merged file nor all sources are
            there.
    """
    merge = under_way(files)
    while True:
        present = files.names("runs", ".parquet")
        waits = merge is not None and _is_whole(files, merge, ROWS, present)
        before, merge = merge, under_way(files)
        if merge == before:
            break
    if merge is None:
        return present
    others = sorted({*present} - {*merge.sources, merge.target})
    if waits:
        return [ROWS, *others]
    # Not waiting any more, the rows have been moved, maybe after the files were listed.
    if _is_whole(files, merge, merge.target, present):
        return sorted([*others, merge.target])
    if {*merge.sources} <= {*present}:
        return sorted([*others, *merge.sources])
    raise _incomplete(files, merge, present)


def _is_whole(files: Files, merge: Merge, name: str, present: Collection[str]) -> bool:
    """Whether the file is there and holds every row of the merge, as far as can be known.

    Args:
        files: The sweep's folder.
        merge: The merge.
        name: Name of the file with the merged rows.
        present: Names of the files in `runs`.
    """
    data = files.read(name)
    if data is None or merge.sha256 is not None:
        return data is not None and hashlib.sha256(data).hexdigest() == merge.sha256
    try:
        held = pc.unique(parquet.table_of(data)["run_id"])
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything
        return False
    left = (each for each in merge.sources if each in present)
    return all(_holds(held, files.read_table(each)) for each in left)


def _holds(held: pa.Array, table: pa.Table) -> bool:
    return table.num_rows == 0 or pc.all(pc.is_in(table["run_id"], held)).as_py()


def _incomplete(files: Files, merge: Merge, present: Collection[str]) -> IncompleteMerge:
    missing = [each for each in merge.sources if each not in present]
    named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    count = "all rows" if merge.rows is None else f"{merge.rows} rows"
    return IncompleteMerge(
        f"cannot end the merge in {files.uri}: expected {ROWS} with {count}, or all files that "
        f"they came from, got neither: missing {named}; restore either from a copy, or have "
        "`raysweep doctor --fix` give the merge up, after which the runs in those files train anew"
    )


def end(files: Files) -> None:
    """Ends a merge that a killed process left; nothing if there is none.

    Raises:
        DamagedFile: If its plan is not what was written.
        IncompleteMerge: If neither the merged file nor all its sources are there.
    """
    merge = under_way(files)
    if merge is None:
        _end_unplanned(files)
        return
    present = files.names("runs", ".parquet")
    waits = _is_whole(files, merge, ROWS, present)
    if waits or _is_whole(files, merge, merge.target, present):
        if not waits and files.exists(ROWS):  # a copy that was cut off once the target was whole
            set_aside(files, ROWS)
        for _ in _move(files, merge):
            pass
    elif {*merge.sources} <= {*present}:
        if merge.target in present and merge.target not in merge.sources:
            set_aside(files, merge.target)
        give_up(files)
    else:
        raise _incomplete(files, merge, present)


def give_up(files: Files) -> None:
    """Drops a merge whose rows are not whole: the files that it would have replaced stay."""
    for name in (ROWS, PLAN):
        if files.exists(name):
            aside = set_aside(files, name)
            log.warning("a merge that was cut off is given up: %s is kept as %s", name, aside)
    files.remove_folder("merging")


def _end_unplanned(files: Files) -> None:
    """Removes merged rows without a plan, as all of them are in `runs`; those that are not stay."""
    if not files.exists(ROWS):
        return
    try:
        rows = files.read_table(ROWS)
    except DamagedFile:
        give_up(files)
        return
    stored = parquet_files.columns(files, files.names("runs", ".parquet"), ["run_id"])["run_id"]
    lacking = rows.filter(pc.invert(pc.is_in(rows["run_id"], pc.unique(stored))))
    if lacking.num_rows:
        name = f"runs/{digest(lacking['run_id'].to_pylist())}.parquet"
        files.write_table(name, lacking)
        log.warning("%d rows that only %s held are now in %s", lacking.num_rows, ROWS, name)
    files.remove_folder("merging")


def merges(files: Files) -> Iterator[None]:
    """Merges what can be, yielding after each change, at any of which it may be cut off.

    Files with failed rows stay: their next attempt replaces them by name. So do files of the last
    minute and a half, which a worker of a killed driver might write again.
    """
    end(files)
    yield
    small = [each for each in files.infos("runs", ".parquet") if _is_settled(each)]
    rows: list[pa.Table] = []
    sources: list[str] = []
    for each in small:
        if not _FILE.fullmatch(each.name):
            continue  # somebody else's: what is under way would not be believed
        table = files.read_table(each.name)
        grown = rows and not table.schema.equals(rows[0].schema)  # a driver will rewrite it
        if grown or "failed" in table["status"].to_pylist():
            continue
        rows.append(table)
        sources.append(each.name)
        if sum(table.num_rows for table in rows) >= MOST_ROWS:
            yield from _merge(files, rows, sources)
            rows, sources = [], []
    if len(sources) > 1:
        yield from _merge(files, rows, sources)


def _is_settled(each: Info) -> bool:
    return each.size < LARGE and time.time() - each.changed > SETTLED_S


def _merge(files: Files, rows: Sequence[pa.Table], sources: Sequence[str]) -> Iterator[None]:
    table = pa.concat_tables(rows).combine_chunks()
    sha256 = files.write_table(ROWS, table)
    yield
    name = f"runs/{digest(list(sources))}.parquet"
    merge = Merge(name, tuple(sources), table.num_rows, sha256)
    files.write(PLAN, json_file.with_digest(dataclasses.asdict(merge), key="digest"))
    yield
    if not _is_whole(files, merge, ROWS, sources):
        raise files.damaged(ROWS, "the rows that were written, got others")
    yield from _move(files, merge)


def _move(files: Files, merge: Merge) -> Iterator[None]:
    """Puts the merged rows in place of their sources: they wait and are whole, or were moved."""
    for name in merge.sources:
        files.remove(name)
        yield
    if files.exists(ROWS):
        files.move(ROWS, merge.target)
        yield
    files.remove(PLAN)
    yield
    files.remove_folder("merging")

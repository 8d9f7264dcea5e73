"""Merging of small files of `runs` into large ones; no reader ever sees a row twice or misses one.

The merged rows remain in `merging/` until their source files have been removed, and are then moved
to `runs/`. The plan of the merge is written first: the next driver, or the next merge, completes
what a killed process began, and readers include the rows in `merging/`. The plan holds the digest
of the merged file: until that file is complete, nothing is removed and readers ignore it.
"""

import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import json_file, parquet, parquet_files, sweep_paths
from raysweep.store.aside import set_aside
from raysweep.store.files import Files, Info
from raysweep.sweep.runs import digest
from raysweep.text import counted, some

MOST_ROWS = 2**17  # after which a merged file takes no further files
LARGE = 4 * 2**20  # bytes from which a file is not merged
# A worker whose driver was killed may rewrite its rows until it notices, after up to 30 seconds.
SETTLED_S = 90.0
ROWS = sweep_paths.MERGED_ROWS
PLAN = sweep_paths.MERGE_PLAN

log = logging.getLogger("raysweep")


class IncompleteMerge(StoreError):
    """Interrupted merge of which neither the merged file nor all its sources exist."""


def _nothing() -> None:
    """Do nothing."""


@dataclasses.dataclass(frozen=True)
class Merge:
    """Plan of a merge.

    Args:
        target: Name of the merged file.
        sources: Names of the files that it replaces.
        rows: Number of rows in all of them; None if an older version wrote the plan.
        sha256: Digest of the merged file; None if an older version wrote the plan.
    """

    target: str
    sources: tuple[str, ...]
    rows: int | None = None
    sha256: str | None = None


def under_way(files: Files) -> Merge | None:
    """Return the merge in progress, or the one that a killed process left; None without one.

    Raises:
        DamagedFile: If the plan is not what was written.
    """
    return json_file.read_json(files, PLAN, _merge_of, "the plan of a merge")


def _merge_of(data: Any) -> Merge:
    json_file.check_digest(data, key="digest", required="rows" in data)
    target, sources = data["target"], data["sources"]
    if not isinstance(sources, list):
        raise TypeError("sources that are not a list")
    for name in (target, *sources):
        if not isinstance(name, str) or not sweep_paths.ROWS_NAME.fullmatch(name):
            raise ValueError(f"file name {name!r}")
    return Merge(target, tuple(sources), data.get("rows"), data.get("sha256"))


def names_of_rows(files: Files) -> list[str]:
    """Return the files that together hold every row of `runs` once, also during a merge.

    A merge that starts, progresses or ends while the files are listed would hide rows, so the plan
    must be the same before and after.

    Raises:
        IncompleteMerge: If a merge was interrupted, and neither the merged file nor all its sources
            exist.
    """
    merge = under_way(files)
    while True:
        present = files.names("runs", ".parquet")
        is_unmoved = merge is not None and _is_whole(files, merge, ROWS, present)
        before, merge = merge, under_way(files)
        if merge == before:
            break
    if merge is None:
        return present
    others = sorted({*present} - {*merge.sources, merge.target})
    if is_unmoved:
        return [ROWS, *others]
    # The merged rows may have been moved after the files were listed.
    if _is_whole(files, merge, merge.target, present):
        return sorted([*others, merge.target])
    if {*merge.sources} <= {*present}:
        return sorted([*others, *merge.sources])
    raise _incomplete(files, merge, present)


def _is_whole(files: Files, merge: Merge, name: str, present: Collection[str]) -> bool:
    """Return whether the file exists and holds every row of the merge, as far as can be known.

    Args:
        files: The sweep's folder.
        merge: Plan of the merge.
        name: Name of the file with the merged rows.
        present: Names of the files in `runs/`.
    """
    data = files.read(name)
    if data is None or merge.sha256 is not None:
        return data is not None and hashlib.sha256(data).hexdigest() == merge.sha256
    try:
        merged_ids = pc.unique(parquet.table_of(data)["run_id"])
    except Exception:  # noqa: BLE001 - damaged bytes may raise anything
        return False
    remaining = (source for source in merge.sources if source in present)
    return all(_has_all_runs(merged_ids, files.read_table(source)) for source in remaining)


def _has_all_runs(ids: pa.Array, table: pa.Table) -> bool:
    return table.num_rows == 0 or pc.all(pc.is_in(table["run_id"], ids)).as_py()


def _incomplete(files: Files, merge: Merge, present: Collection[str]) -> IncompleteMerge:
    missing = [source for source in merge.sources if source not in present]
    count = "all rows" if merge.rows is None else counted(merge.rows, "row")
    return IncompleteMerge(
        f"cannot complete the merge in {files.uri}: expected {ROWS} with {count}, or all files "
        f"that were merged, got neither: missing {some(missing)}; restore either from a copy, or "
        "run `raysweep doctor --fix`, after which the runs in the missing files train again"
    )


def end(files: Files) -> None:
    """Complete a merge that a killed process left, if there is one.

    Raises:
        DamagedFile: If the plan is not what was written.
        IncompleteMerge: If neither the merged file nor all its sources exist.
    """
    merge = under_way(files)
    if merge is None:
        _end_unplanned(files)
        return
    present = files.names("runs", ".parquet")
    is_unmoved = _is_whole(files, merge, ROWS, present)
    if is_unmoved or _is_whole(files, merge, merge.target, present):
        if not is_unmoved and files.exists(ROWS):  # an interrupted move, after its copy was whole
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
    """Cancel a merge whose merged rows are incomplete, and keep its source files."""
    for name in (ROWS, PLAN):
        if files.exists(name):
            aside = set_aside(files, name)
            log.warning("an interrupted merge was cancelled: %s was moved to %s", name, aside)
    files.remove_folder("merging")


def _end_unplanned(files: Files) -> None:
    """Remove merged rows that have no plan, and move those that are not in `runs/` there."""
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
        name = sweep_paths.rows(digest(lacking["run_id"].to_pylist()))
        files.write_table(name, lacking)
        log.warning("%d rows that only %s held were moved to %s", lacking.num_rows, ROWS, name)
    files.remove_folder("merging")


def merges(
    files: Files,
    settled_s: float | None = None,
    spared: Collection[str] = (),
    has_read: Callable[[], None] = _nothing,
    grace: Callable[[], None] = _nothing,
) -> Iterator[None]:
    """Merge small files, yielding after each change; it may be killed after any of them.

    Files with failed rows are left out: the next attempt replaces them by name. So are files of the
    last minute and a half, which a worker of a killed driver might rewrite.

    Args:
        files: The sweep's folder.
        settled_s: Age in seconds from which a file is merged; `SETTLED_S` if None.
        spared: Names of files that are not merged.
        has_read: Function that is called after each file that was read; it may raise.
        grace: Function that is called before files are removed that no new reader needs, and waits
            for those that have listed them; it may raise.
    """
    end(files)
    yield
    small = [info for info in small_files(files, settled_s) if info.name not in spared]
    rows: list[pa.Table] = []
    sources: list[str] = []
    for info in small:
        if not sweep_paths.ROWS_NAME.fullmatch(info.name):
            continue  # not named by raysweep: a plan with this name would count as damaged
        table = files.read_table(info.name)
        has_read()
        is_older = rows and not table.schema.equals(rows[0].schema)  # a driver will rewrite it
        if is_older or "failed" in table["status"].to_pylist():
            continue
        rows.append(table)
        sources.append(info.name)
        if sum(table.num_rows for table in rows) >= MOST_ROWS:
            yield from _merge(files, rows, sources, grace)
            rows, sources = [], []
    if len(sources) > 1:
        yield from _merge(files, rows, sources, grace)


def small_files(files: Files, settled_s: float | None = None) -> list[Info]:
    """Return the files of rows that are small, and have not been written lately."""
    settled_s = SETTLED_S if settled_s is None else settled_s
    latest = time.time() - settled_s
    every = files.infos("runs", ".parquet")
    return [info for info in every if info.size < LARGE and info.changed < latest]


def _merge(
    files: Files, rows: Sequence[pa.Table], sources: Sequence[str], grace: Callable[[], None]
) -> Iterator[None]:
    table = pa.concat_tables(rows).combine_chunks()
    sha256 = files.write_table(ROWS, table)
    yield
    name = sweep_paths.rows(digest(list(sources)))
    merge = Merge(name, tuple(sources), table.num_rows, sha256)
    files.write(PLAN, json_file.with_digest(dataclasses.asdict(merge), key="digest"))
    yield
    if not _is_whole(files, merge, ROWS, sources):
        raise files.damaged(ROWS, "the rows that were just written, got other rows")
    yield from _move(files, merge, grace)


def _move(files: Files, merge: Merge, grace: Callable[[], None] = _nothing) -> Iterator[None]:
    """Replace the sources by the merged rows, which are complete and may have been moved."""
    grace()
    for name in merge.sources:
        files.remove(name)
        yield
    if (rows := files.read(ROWS)) is not None:
        files.write(merge.target, rows)
        yield
    files.remove(PLAN)
    yield
    grace()
    files.remove_folder("merging")

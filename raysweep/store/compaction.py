"""Merges small files of `runs` into large ones, so that nobody ever sees a row twice or loses one.

The merged rows wait in `merging/` until the files that they come from are gone, and are then moved
in among the others. What is under way is written down first: whoever drives the sweep next, or
merges again, ends what a killed process began, and readers count the waiting file in.
"""

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence

import pyarrow as pa

from raysweep.identity import digest
from raysweep.store.files import Files, Info

MOST_ROWS = 2**17  # of a merged file
LARGE = 4 * 2**20  # bytes: a file that stays as it is
# A worker whose driver was killed may write its rows again until it notices; it has 30 seconds.
SETTLED_S = 90.0
ROWS = "merging/rows.parquet"
PLAN = "merging/plan.json"


@dataclasses.dataclass(frozen=True)
class Merge:
    """Files that become one.

    Args:
        target: Its name.
        sources: Theirs.
    """

    target: str
    sources: tuple[str, ...]


def under_way(files: Files) -> Merge | None:
    """The merge that is going on, or that a killed process left."""
    data = files.read(PLAN)
    if data is None:
        return None
    told = json.loads(data)
    return Merge(told["target"], tuple(told["sources"]))


def names_of_rows(files: Files) -> list[str]:
    """The files that hold every row of `runs` once, whatever is under way.

    A merge that begins, goes on or ends while the files are listed would hide rows: what is under
    way has to be the same before and after.
    """
    merge = under_way(files)
    while True:
        present = files.names("runs", ".parquet")
        waits = merge is not None and files.exists(ROWS)
        before, merge = merge, under_way(files)
        if merge == before:
            break
    if merge is None:
        return present
    gone = {*merge.sources, merge.target}
    # Not waiting any more, the rows have been moved, maybe after the files were listed.
    merged = ROWS if waits else merge.target
    return sorted([*(each for each in present if each not in gone), merged])


def end(files: Files) -> None:
    """Ends a merge that a killed process left; nothing if there is none."""
    merge = under_way(files)
    if merge is not None:
        for _ in _move(files, merge):
            pass
    elif files.exists(ROWS):
        files.remove(ROWS)  # written, but not planned: the sources are all there


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
    merge = Merge(f"runs/{digest(list(sources))}.parquet", tuple(sources))
    files.write_table(ROWS, pa.concat_tables(rows).combine_chunks())
    yield
    files.write(PLAN, json.dumps(dataclasses.asdict(merge)).encode())
    yield
    yield from _move(files, merge)


def _move(files: Files, merge: Merge) -> Iterator[None]:
    for name in merge.sources:
        files.remove(name)
        yield
    if files.exists(ROWS):
        files.move(ROWS, merge.target)
        yield
    files.remove(PLAN)
    yield
    files.remove_folder("merging")

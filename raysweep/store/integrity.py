"""Finds the files of a sweep that are not what raysweep wrote, and sets them aside.

What is found is moved below `damaged/`, never removed: somebody may have a copy, or a use for
what is left. For the driver, under its lease, before it plans; and for `raysweep doctor`.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.errors import DamagedFile, StoreError
from raysweep.store import (
    again_file,
    aside,
    checkpoints,
    compaction,
    curve_files,
    json_file,
    parquet,
    parquet_files,
    shape,
    spec_file,
)
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.files import Files
from raysweep.sweep.packs import Pack
from raysweep.text import counted

KINDS = {
    "runs": "rows of ended runs",
    "curves": "curves",
    "attempts": "a failed attempt",
    "decisions": "decisions of early stopping",
    "checkpoints": "the checkpoint of a pack",
    "merging": "a merge of rows",
    "removing": "a removal of runs",
    "spec.json": "the sweep's spec",
    "search.json": "what a sampler noted",
    "again.json": "configurations to be trained anew",
}
MOST_BYTES = 256 * 2**20  # of curves that a driver reads whole before it plans
REQUESTS = 16  # to a bucket at the same time
_AFTER = {
    "runs": "the runs in it are planned again",
    "attempts": "the error and time of that attempt are lost",
    "checkpoints": "the pack trains anew",
    "decisions": "early stopping continues from the curves and the other decisions",
    "removing": "runs that it has not removed yet stay",
    "search.json": "the search continues from its results",
    "again.json": "a search forgets which configurations were to be trained anew",
}

log = logging.getLogger("raysweep")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Damage:
    """A file that is not what raysweep wrote.

    Args:
        name: Name below the sweep's folder.
        kind: What the file should hold, one of `KINDS`.
        reason: One line that names the file, says what was expected and found, and what to do.
        problem: The part of it that says what was expected and found.
    """

    name: str
    kind: str
    reason: str
    problem: str


def verify(files: Files) -> list[Damage]:
    """Every damaged file of a sweep; each file is read to its last byte.

    Raises:
        StoreError: If a file cannot be reached.
    """
    found = [each for folder in parquet.FOLDERS for each in _scan(files, folder)[1]]
    for pack_id in files.folders("checkpoints"):
        found += _raised(read_checkpoint, files, pack_id, True)
    found += _raised(compaction.under_way, files)
    if files.exists(compaction.ROWS):
        found += _raised(files.read_table, compaction.ROWS)
    found += _raised(spec_file.read, files)
    found += _damaged_notes(files)
    damages = {each.name: each for each in found}
    return [
        Damage(name, KINDS.get(name.partition("/")[0], "a file"), str(each), each.reason)
        for name, each in sorted(damages.items())
    ]


def set_aside(files: Files, name: str) -> str:
    """Moves a damaged file below `damaged/`, the whole checkpoint where it is part of one.

    Args:
        files: The sweep's folder.
        name: Name of the file below it.

    Returns:
        The new name of the file, or of the checkpoint's folder.
    """
    folder, _, rest = name.partition("/")
    if folder != "checkpoints":
        return aside.set_aside(files, name)
    pack_id = rest.partition("/")[0]
    Checkpoints(files, pack_id).set_aside()
    return f"damaged/checkpoints/{pack_id}"


def mend(files: Files) -> dict[str, Mapping[str, pa.Schema]]:
    """Sets aside what is damaged, and says so; the schema of each file of `runs` and `curves`.

    Rows are always read whole, and so are curves unless there are very many. States are left to
    the workers, which read them anyway.
    """
    for error in _damaged_notes(files):
        _note(files, error.name)
    end_merge(files)
    for pack_id in files.folders("checkpoints"):
        for error in _raised(read_checkpoint, files, pack_id, False):
            _note(files, error.name)
    schemas: dict[str, Mapping[str, pa.Schema]] = {}
    for folder in parquet.FOLDERS:
        most = MOST_BYTES if folder == "curves" else None
        schemas[folder], damages = _scan(files, folder, most)
        for each in damages:
            _note(files, each.name)
        if folder == "curves":
            _note_curves(files, [each.name for each in damages])
    return schemas


def _damaged_notes(files: Files) -> list[DamagedFile]:
    """What is wrong with the files in which searches keep notes."""
    search = _raised(json_file.read_json, files, "search.json", json_file.mapping, "a mapping")
    return [*search, *_raised(again_file.read, files)]


def mend_curves(files: Files, pack: Pack) -> None:
    """Sets those files of curves of a pack in flight aside that are damaged, and says so."""
    names = [each.name for each in curve_files.of_pack(files, pack.pack_id)]
    damages = [error.name for name in names for error in _raised(files.read_table, name)]
    for name in damages:
        _note(files, name)
    if damages:
        _say_lost_curves([], [run.run_id for run in pack.runs])


def end_merge(files: Files) -> None:
    """Ends a merge that was cut off; what of it is damaged is set aside first.

    Raises:
        IncompleteMerge: If neither the merged file nor all its sources are there.
        StoreError: If a file cannot be reached.
    """
    while True:
        try:
            compaction.end(files)
        except DamagedFile as error:
            _note(files, error.name)
        else:
            return


def _note(files: Files, name: str) -> None:
    aside = set_aside(files, name)
    after = _AFTER.get(name.partition("/")[0])
    log.warning(
        "%s is damaged and is kept as %s%s", files.path(name), aside, f"; {after}" if after else ""
    )


def _note_curves(files: Files, names: Iterable[str]) -> None:
    """Says how many runs have no whole curve any more, and how to train them anew."""
    packs = {own.pack_id for name in names if (own := curve_files.parsed(name))}
    if not packs:
        return
    rows = parquet_files.columns(files, compaction.names_of_rows(files), ["run_id", "pack_id"])
    inside = rows.filter(pc.is_in(rows["pack_id"], pa.array(sorted(packs), pa.string())))
    training = [
        run.run_id
        for manifest in checkpoints.in_flight(files)
        for run in manifest.pack.runs
        if manifest.pack.pack_id in packs
    ]
    _say_lost_curves(inside.to_pylist(), training)


def _say_lost_curves(rows: Sequence[Mapping[str, Any]], training: Sequence[str]) -> None:
    """Says of how many runs the curves are lost, and the condition that they meet for good.

    Args:
        rows: Run and pack of those that ended.
        training: Ids of those that did not: their pack may still be divided.
    """
    runs = {"pack_id": {row["pack_id"] for row in rows}, "run_id": set(training)}
    listed = {name: ", ".join(f"'{each}'" for each in sorted(ids)) for name, ids in runs.items()}
    log.warning(
        "the curves of %s are lost, in part or whole; to train anew: "
        'raysweep run FILE --again "%s"',
        counted(len({*(row["run_id"] for row in rows), *training})),
        " or ".join(f"{name} in ({ids})" for name, ids in listed.items() if ids),
    )


def _scan(
    files: Files, folder: str, most_bytes: int | None = None
) -> tuple[dict[str, pa.Schema], list[DamagedFile]]:
    """Reads the Parquet files of a folder: schema of each that is whole, error of each other one.

    Args:
        files: The sweep's folder.
        folder: Name of the folder below it.
        most_bytes: Size of all files above which only their footers are read.
    """
    infos = files.infos(folder, ".parquet")
    whole = most_bytes is None or sum(each.size for each in infos) <= most_bytes

    def read(name: str) -> pa.Schema | DamagedFile | None:
        try:
            found = files.check(name) if whole else files.read_schema(name)
            files.check_shape(name, found)
        except DamagedFile as error:
            return error
        except FileNotFoundError:
            return None  # merged, or replaced, meanwhile
        return found

    names = [each.name for each in infos]
    with ThreadPoolExecutor(REQUESTS) as pool:
        found = dict(zip(names, pool.map(read, names), strict=True))
    damages = [each for each in found.values() if isinstance(each, DamagedFile)]
    schemas = {name: each for name, each in found.items() if isinstance(each, pa.Schema)}
    if folder == "runs":
        odd = _odd_rows(files, list(schemas))
        damages += odd
        for each in odd:
            del schemas[each.name]
    return schemas, damages


def _odd_rows(files: Files, names: Sequence[str]) -> list[DamagedFile]:
    """The errors of the files with rows that are of no run, or of none that ended."""

    def is_odd(rows: pa.Table) -> bool:
        known = pc.is_in(rows["status"], pa.array(sorted(shape.STATUSES), pa.string()))
        return rows["run_id"].null_count > 0 or not pc.all(known, min_count=0).as_py()

    columns = ["run_id", "status"]
    try:
        if not is_odd(parquet_files.columns(files, names, columns)):
            return []
    except StoreError:
        return []  # it is said of the file, or a file went away meanwhile
    reason = f"rows of runs, each with a status of {', '.join(sorted(shape.STATUSES))}, got: others"
    odd = [name for name in names if is_odd(files.read_table(name).select(columns))]
    return [files.damaged(name, reason) for name in odd]


def read_checkpoint(files: Files, pack_id: str, states: bool) -> None:
    """Reads the checkpoint of a pack.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack.
        states: Whether to read the state besides the manifest.

    Raises:
        DamagedFile: If it is not what was written.
    """
    checkpoint = Checkpoints(files, pack_id)
    manifest = checkpoint.manifest()
    if states and manifest is not None and manifest.step > 0:
        checkpoint.state_bytes(manifest)


def _raised(action: Callable[..., Any], *arguments: Any) -> list[DamagedFile]:
    """The error of a file that is damaged, if the action ends with one."""
    try:
        action(*arguments)
    except DamagedFile as error:
        return [error]
    return []

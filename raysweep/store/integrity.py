"""Detection of damaged files of a sweep, and their move to `damaged/`.

Damaged files are never deleted: somebody may have a copy, or a use for what remains. For the
driver, under its lease, before it plans; and for `raysweep doctor`.
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
    pack_sizes,
    parquet,
    parquet_files,
    shape,
    spec_file,
    sweep_paths,
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
    sweep_paths.SPEC: "the sweep's spec",
    sweep_paths.SEARCH: "the state of the samplers",
    sweep_paths.AGAIN: "configurations to train again",
    sweep_paths.PACK_SIZES: "sizes of packs",
}
MOST_BYTES = 256 * 2**20  # of curves, beyond which a driver reads only their footers
REQUESTS = 16  # at the same time, to a bucket
_AFTER = {
    "runs": "its runs are planned again",
    "attempts": "the error and time of that attempt are lost",
    "checkpoints": "the pack trains from its start",
    "decisions": "early stopping continues from the curves and the other decisions",
    "removing": "runs that have not been removed yet are kept",
    sweep_paths.SEARCH: "the search continues from its results",
    sweep_paths.AGAIN: "a search no longer knows which configurations to train again",
    sweep_paths.PACK_SIZES: "sizes of packs are measured again",
}

log = logging.getLogger("raysweep")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Damage:
    """Damaged file: its content is not what raysweep wrote.

    Args:
        name: Name of the file below the sweep's folder.
        kind: Content that the file should have, one of `KINDS`.
        reason: Line that names the file, says what was expected and found, and what to do.
        problem: Part of `reason` that says what was expected and found.
    """

    name: str
    kind: str
    reason: str
    problem: str


def verify(files: Files) -> list[Damage]:
    """Read every file of a sweep to its last byte, and return the damaged ones.

    Raises:
        StoreError: If a file cannot be reached.
    """
    errors = [error for folder in parquet.FOLDERS for error in _scan(files, folder)[1]]
    for pack_id in files.folders("checkpoints"):
        errors += _raised(read_checkpoint, files, pack_id, True)
    errors += _raised(compaction.under_way, files)
    if files.exists(compaction.ROWS):
        errors += _raised(files.read_table, compaction.ROWS)
    errors += _raised(spec_file.read, files)
    errors += _json_errors(files)
    by_name = {error.name: error for error in errors}
    return [
        Damage(name, KINDS.get(name.partition("/")[0], "a file"), str(error), error.reason)
        for name, error in sorted(by_name.items())
    ]


def set_aside(files: Files, name: str) -> str:
    """Move a damaged file to `damaged/`; a file of a checkpoint is moved with the whole checkpoint.

    Args:
        files: The sweep's folder.
        name: Name of the file in that folder.

    Returns:
        The new name of the file, or of the checkpoint's folder.
    """
    folder, _, rest = name.partition("/")
    if folder != "checkpoints":
        return aside.set_aside(files, name)
    pack_id = rest.partition("/")[0]
    Checkpoints(files, pack_id).set_aside()
    return sweep_paths.damaged(sweep_paths.checkpoint(pack_id))


def mend(files: Files) -> dict[str, Mapping[str, pa.Schema]]:
    """Move damaged files to `damaged/`, and log them.

    Rows are always read in full, and so are curves below `MOST_BYTES`. States are checked by the
    workers, which read them anyway.

    Returns:
        The schema of each remaining Parquet file, by folder and name.
    """
    for error in _json_errors(files):
        _move_and_log(files, error.name)
    end_merge(files)
    for pack_id in files.folders("checkpoints"):
        for error in _raised(read_checkpoint, files, pack_id, False):
            _move_and_log(files, error.name)
    schemas: dict[str, Mapping[str, pa.Schema]] = {}
    for folder in parquet.FOLDERS:
        most_bytes = MOST_BYTES if folder == "curves" else None
        schemas[folder], errors = _scan(files, folder, most_bytes)
        for error in errors:
            _move_and_log(files, error.name)
        if folder == "curves":
            _log_curves(files, [error.name for error in errors])
    return schemas


def _json_errors(files: Files) -> list[DamagedFile]:
    """Return the errors of the files of searches and of sizes that are damaged."""
    search = _raised(json_file.read_json, files, sweep_paths.SEARCH, json_file.mapping, "a mapping")
    return [*search, *_raised(again_file.read, files), *_raised(pack_sizes.read, files)]


def mend_curves(files: Files, pack: Pack) -> None:
    """Move damaged files of curves of a pack in flight to `damaged/`, and log them."""
    names = [file.name for file in curve_files.of_pack(files, pack.pack_id)]
    errors = [error for name in names for error in _raised(files.read_table, name)]
    for error in errors:
        _move_and_log(files, error.name)
    if errors:
        _log_lost_curves([], [run.run_id for run in pack.runs])


def end_merge(files: Files) -> None:
    """Complete an interrupted merge, after moving its damaged files to `damaged/`.

    Raises:
        IncompleteMerge: If neither the merged file nor all its sources exist.
        StoreError: If a file cannot be reached.
    """
    while True:
        try:
            compaction.end(files)
        except DamagedFile as error:
            _move_and_log(files, error.name)
        else:
            return


def _move_and_log(files: Files, name: str) -> None:
    new_name = set_aside(files, name)
    after = _AFTER.get(name.partition("/")[0])
    log.warning(
        "%s is damaged and was moved to %s%s",
        files.path(name),
        new_name,
        f"; {after}" if after else "",
    )


def _log_curves(files: Files, names: Iterable[str]) -> None:
    """Log how many runs lost a part of their curves, and the command that trains them again."""
    packs = {file.pack_id for name in names if (file := curve_files.parsed(name))}
    if not packs:
        return
    rows = parquet_files.columns(files, compaction.names_of_rows(files), ["run_id", "pack_id"])
    of_packs = rows.filter(pc.is_in(rows["pack_id"], pa.array(sorted(packs), pa.string())))
    training = [
        run.run_id
        for manifest in checkpoints.in_flight(files)
        for run in manifest.pack.runs
        if manifest.pack.pack_id in packs
    ]
    _log_lost_curves(of_packs.to_pylist(), training)


def _log_lost_curves(rows: Sequence[Mapping[str, Any]], training: Sequence[str]) -> None:
    """Log the number of runs that lost curves, and the command that trains them again.

    Args:
        rows: Run and pack of the runs that ended.
        training: Ids of the runs that have not ended; their pack may still be divided.
    """
    runs = {"pack_id": {row["pack_id"] for row in rows}, "run_id": set(training)}
    listed = {name: ", ".join(f"'{key}'" for key in sorted(ids)) for name, ids in runs.items()}
    log.warning(
        "the curves of %s are lost, at least in part; to train again: "
        'raysweep run FILE --again "%s"',
        counted(len({*(row["run_id"] for row in rows), *training})),
        " or ".join(f"{name} in ({ids})" for name, ids in listed.items() if ids),
    )


def _scan(
    files: Files, folder: str, most_bytes: int | None = None
) -> tuple[dict[str, pa.Schema], list[DamagedFile]]:
    """Read the Parquet files of a folder.

    Args:
        files: The sweep's folder.
        folder: Name of the subfolder.
        most_bytes: Size of all files together above which only their footers are read.

    Returns:
        The schema of each undamaged file by name, and the error of each damaged one.
    """
    infos = files.infos(folder, ".parquet")
    in_full = most_bytes is None or sum(info.size for info in infos) <= most_bytes

    def read(name: str) -> pa.Schema | DamagedFile | None:
        try:
            columns = files.check(name) if in_full else files.read_schema(name)
            files.check_shape(name, columns)
        except DamagedFile as error:
            return error
        except FileNotFoundError:
            return None  # merged or replaced meanwhile
        return columns

    names = [info.name for info in infos]
    with ThreadPoolExecutor(REQUESTS) as pool:
        results = dict(zip(names, pool.map(read, names), strict=True))
    errors = [result for result in results.values() if isinstance(result, DamagedFile)]
    schemas = {name: result for name, result in results.items() if isinstance(result, pa.Schema)}
    if folder == "runs":
        row_errors = _row_errors(files, list(schemas))
        errors += row_errors
        for error in row_errors:
            del schemas[error.name]
    return schemas, errors


def _row_errors(files: Files, names: Sequence[str]) -> list[DamagedFile]:
    """Return the errors of files that have rows without a run or a known status."""

    def is_wrong(rows: pa.Table) -> bool:
        known = pc.is_in(rows["status"], pa.array(sorted(shape.STATUSES), pa.string()))
        return rows["run_id"].null_count > 0 or not pc.all(known, min_count=0).as_py()

    columns = ["run_id", "status"]
    try:
        if not is_wrong(parquet_files.columns(files, names, columns)):
            return []
    except StoreError:
        return []  # the file is reported already, or was removed meanwhile
    statuses = ", ".join(sorted(shape.STATUSES))
    reason = f"rows that each have a run_id and a status ({statuses}), got other rows"
    wrong = [name for name in names if is_wrong(files.read_table(name).select(columns))]
    return [files.damaged(name, reason) for name in wrong]


def read_checkpoint(files: Files, pack_id: str, states: bool) -> None:
    """Read the checkpoint of a pack, to check it.

    Args:
        files: The sweep's folder.
        pack_id: Id of the pack.
        states: Whether to read the state as well as the manifest.

    Raises:
        DamagedFile: If the checkpoint is not what was written.
    """
    checkpoint = Checkpoints(files, pack_id)
    manifest = checkpoint.manifest()
    if states and manifest is not None and manifest.step > 0:
        checkpoint.state_bytes(manifest)


def _raised(action: Callable[..., Any], *arguments: Any) -> list[DamagedFile]:
    """Return the error of a damaged file, if the action raises one."""
    try:
        action(*arguments)
    except DamagedFile as error:
        return [error]
    return []

"""What raysweep relies on in a store, checked in any folder, network folder or bucket."""

import secrets
import threading
from collections.abc import Callable

import pyarrow as pa

from raysweep.errors import DamagedFile, LeaseHeld
from raysweep.store.files import Files
from raysweep.store.lease import Lease

WRITERS = 4
WRITES = 12
FEW = b"few"
MANY = b"many" * 100_000
ROWS = pa.table({"run_id": ["a", "b"], "value": [0.1, None]})


def what_was_written_is_read_at_once(files: Files) -> None:
    """Check that a file that is written, again and shorter too, is read and found as written."""
    for data in (FEW, MANY, b""):
        files.write("runs/a", data)
        _expect(files.read("runs/a"), data)
        _expect([info.size for info in files.infos("runs")], [len(data)])
    _expect(files.exists("runs/a"), True)


def what_is_not_there_is_none(files: Files) -> None:
    """Check that nothing missing is an error: a file read or removed, or a folder listed."""
    _expect(files.read("runs/none"), None)
    _expect(files.exists("runs/none"), False)
    _expect(files.names("none"), [])
    _expect(files.folders("none"), [])
    files.remove("runs/none")
    files.remove_folder("none")


def files_are_listed_at_once(files: Files) -> None:
    """Check that a folder shows every file that was written to it, none removed and none below."""
    for name in ("runs/b.parquet", "runs/a.parquet", "runs/a.json", "runs/below/c.parquet"):
        files.write(name, FEW)
    _expect(files.names("runs", ".parquet"), ["runs/a.parquet", "runs/b.parquet"])
    _expect(files.folders("runs"), ["below"])
    files.remove("runs/a.parquet")
    _expect(files.names("runs", ".parquet"), ["runs/b.parquet"])
    files.remove_folder("runs")
    _expect(files.names("runs"), [])
    _expect(files.read("runs/below/c.parquet"), None)


def a_move_replaces_and_leaves_nothing(files: Files) -> None:
    """Check that a moved file is under its new name alone, whatever was there."""
    files.write("runs/a", MANY)
    files.write("damaged/a", FEW)
    files.move("runs/a", "damaged/a")
    _expect((files.read("runs/a"), files.read("damaged/a")), (None, MANY))


def a_file_is_created_once(files: Files) -> None:
    """Check that a file that exists is not created again."""
    _expect([files.create("lease", FEW), files.create("lease", MANY)], [True, False])
    _expect(files.read("lease"), FEW)


def readers_see_whole_files(files: Files) -> None:
    """Check that a reader of a file that is written over and over sees one content, all of it."""
    contents = [f"{index} ".encode() * (100_000 if index % 2 else 1) for index in range(WRITES)]
    files.write("plan", contents[0])
    writer = threading.Thread(target=lambda: [files.write("plan", data) for data in contents])
    writer.start()
    while writer.is_alive():
        seen = files.read("plan")
        if seen not in contents:
            writer.join()
            raise AssertionError(f"expected a content that was written, got {_short(seen)}")
    writer.join()


def writers_do_not_disturb_each_other(files: Files) -> None:
    """Check that all files that several workers write into one folder at once are there."""

    def write(worker: int) -> None:
        for index in range(WRITES):
            files.write(f"runs/{worker}-{index}", f"{worker} {index}".encode())

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"runs/{w}-{i}": f"{w} {i}".encode() for w in range(WRITERS) for i in range(WRITES)}
    _expect({name: files.read(name) for name in files.names("runs")}, expected)


def tables_come_back_equal(files: Files) -> None:
    """Check that a Parquet file comes back with schema and values, and damage is noticed."""
    files.write_table("runs/a.parquet", ROWS)
    _expect(files.read_table("runs/a.parquet").equals(ROWS), True)
    _expect(files.read_schema("runs/a.parquet").names, ROWS.column_names)
    data = files.read("runs/a.parquet") or b""
    files.write("runs/a.parquet", data[: len(data) // 2])
    try:
        files.read_table("runs/a.parquet")
    except DamagedFile:
        return
    raise AssertionError("expected half a file to be refused, got its rows")


def a_second_driver_is_refused(files: Files) -> None:
    """Check that while one driver holds a sweep another is refused; then the next may have it."""
    with Lease(files) as first:
        try:
            with Lease(files):
                raise AssertionError("expected a second driver to be refused, got two drivers")
        except LeaseHeld:
            _expect(first.still_mine(), True)
    with Lease(files):
        pass
    _expect(files.names(""), [])


CASES: tuple[Callable[[Files], None], ...] = (
    what_was_written_is_read_at_once,
    what_is_not_there_is_none,
    files_are_listed_at_once,
    a_move_replaces_and_leaves_nothing,
    a_file_is_created_once,
    readers_see_whole_files,
    writers_do_not_disturb_each_other,
    tables_come_back_equal,
    a_second_driver_is_refused,
)


def check_store(store: str) -> None:
    """Check that a store does what raysweep relies on.

    Everything is written below a new folder in the store, which is removed at the end. Buckets and
    network folders that pass can hold sweeps; a cache between the machines can still break what
    holds on one of them, so that a cluster's store is best checked from two.

    Args:
        store: Path or URI of the store, as `--store` takes it.

    Raises:
        AssertionError: If the store does something else; the message says what.
        RaysweepError: If the store cannot be used at all.
    """
    folder = Files(store).below(f"checked-{secrets.token_hex(8)}")
    folder.check_bucket()
    try:
        for case in CASES:
            check_case(folder.below(case.__name__), case)
    finally:
        folder.remove_folder("")


def check_case(files: Files, case: Callable[[Files], None]) -> None:
    """Check one of `CASES` in an empty folder.

    Raises:
        AssertionError: If the store does something else; the message says what.
    """
    try:
        case(files)
    except AssertionError as error:
        raise AssertionError(f"{files.uri}: {case.__name__}: {error}") from error


def _expect(got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"expected {_short(expected)}, got {_short(got)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"

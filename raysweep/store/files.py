"""Whole files in a folder or a bucket, by one code: written aside, then put in place."""

import contextlib
import copy
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from raysweep.errors import DamagedFile, SpecError, StoreError
from raysweep.store import local_file, parquet, shape
from raysweep.store.damage import damaged, reason_of
from raysweep.store.retry import Patience, retried
from raysweep.store.uri import has_credentials, single_put

DEFAULT_STORE = "sweeps"
# A part of a name that is empty, `.` or `..`, or a character that no name of a store has.
_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\\\x00-\x1f\x7f]")
T = TypeVar("T")


def store_uri(store: str | Path | None) -> str:
    """The store that a command means: its argument, the environment's, or `sweeps`."""
    return str(store or os.environ.get("RAYSWEEP_STORE") or DEFAULT_STORE)


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of a file without opening it.

    Args:
        name: Below the root.
        size: Bytes.
        changed: When it was last written, in seconds since 1970.
    """

    name: str
    size: int
    changed: float


class Files:
    """Files below one root.

    A local file is written under a name that no glob of results matches and renamed when it is
    whole; an object store shows an object only when it is whole.

    Args:
        root: A path (made absolute) or a URI that `pyarrow.fs` takes.

    Raises:
        SpecError: If the URI holds credentials or is of an unknown kind.
    """

    patience: Patience | None = None

    def __init__(self, root: str | Path) -> None:
        text = str(root)
        self.is_local = not re.match(r"[a-z][a-z0-9+.-]+://", text) or text.startswith("file://")
        if self.is_local:
            path = Path(unquote(urlsplit(text).path) if text.startswith("file://") else text)
            self.uri = self.root = str(path.expanduser().absolute())
            self.filesystem: pafs.FileSystem = pafs.LocalFileSystem()
            return
        if has_credentials(text):
            raise SpecError(
                "expected a URI without credentials, got one with them; "
                "give them by the environment or the provider's credential files",
                field="store",
            )
        self.uri = text.rstrip("/")
        try:
            self.filesystem, path = pafs.FileSystem.from_uri(single_put(self.uri))
            if not path:
                raise ValueError("no bucket")
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            reason = re.sub(r"\?\S*", "?…", str(error).splitlines()[0])  # may hold a signature
            scheme = urlsplit(text).scheme
            raise SpecError(
                f"expected a path or a URI such as s3://bucket/folder, "
                f"got {scheme}://...: {reason}",
                field="store",
            ) from error
        self.root = path.rstrip("/")

    def with_patience(self, patience: Patience | None) -> "Files":
        """The same files; what fails for a while is retried as the patience says."""
        patient = copy.copy(self)
        patient.patience = patience
        return patient

    @retried(writes=False)
    def patiently(self, action: Callable[[], None]) -> None:
        """Does what uses these files in another way, retried likewise."""
        action()

    def below(self, folder: str) -> "Files":
        """The files of a folder below this root."""
        parts = urlsplit(self.uri)
        if self.is_local:
            return Files(f"{self.root}/{folder}")
        return Files(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{folder}")))

    def check_bucket(self) -> None:
        """Says so where there is no such bucket: its listing is as empty as that of a new store.

        Raises:
            StoreError: If there is none, or it cannot be reached.
        """
        bucket = self.root.partition("/")[0]
        if self.is_local or not bucket:
            return
        with self._explained("list", ""):
            found = self.filesystem.get_file_info(bucket)
        if found.type == pafs.FileType.NotFound:
            raise self._unusable("list", "", f"no such bucket: {bucket}")

    def path(self, name: str) -> str:
        """The full path of a name below the root; the one place where names are checked.

        Names come from the store, too, which others may have written: none may lead out of it.

        Raises:
            StoreError: If the name is not one of a file or folder below the root.
        """
        if not name:
            return self.root
        if _UNSAFE.search(name):
            raise StoreError(
                f"expected names of files below {self.uri}, got {name!r}; the store was not "
                "written by raysweep alone: restore it from a copy"
            )
        return f"{self.root}/{name}"

    def inside(self, name: str) -> str:
        """The path of a name that no symbolic link leads out of the root, which may be a link.

        Raises:
            StoreError: If one does.
        """
        path = self.path(name)
        if self.is_local and name:
            root, real = os.path.realpath(self.root), os.path.realpath(path)
            if real != root and not real.startswith(root.rstrip("/") + "/"):
                raise StoreError(
                    f"expected files below {self.uri}, got {name}, a link that leads to {real}; "
                    "put the files themselves in place of the link"
                )
        return path

    def _changed(self, name: str) -> str:
        """The path of a name that is written or removed: a link there is replaced, not followed."""
        self.inside(name.rpartition("/")[0])
        return self.path(name)

    @retried(writes=False)
    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Names below the root of a folder's files, sorted; none if there is no such folder."""
        with self._explained("list", folder):
            names = self._local_names(folder) if self.is_local else self._remote_names(folder)
        prefix = f"{folder}/" if folder else ""
        found = sorted(
            prefix + name for name in names if name.endswith(suffix) and not name.startswith(".")
        )
        for name in found:
            if names[name.removeprefix(prefix)]:
                self.inside(name)
        return found

    def _local_names(self, folder: str) -> dict[str, bool]:
        """A folder's files, and whether they are links, without looking at each."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.inside(folder)) as entries:
            return {each.name: each.is_symlink() for each in entries if each.is_file()}
        return {}

    def _remote_names(self, folder: str) -> dict[str, bool]:
        found = self._selected(folder)
        return {each.base_name: False for each in found if each.type == pafs.FileType.File}

    def _selected(self, folder: str) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(self.inside(folder), allow_not_found=True)
        return self.filesystem.get_file_info(selector)

    @retried(writes=False)
    def infos(self, folder: str, suffix: str = "") -> list["Info"]:
        """The files that `names` gives, with their sizes and ages."""
        with self._explained("list", folder):
            names = self.names(folder, suffix)
            infos = self.filesystem.get_file_info([self.path(name) for name in names])
        return [
            Info(each.path.removeprefix(f"{self.root}/"), each.size, each.mtime_ns / 1e9)
            for each in infos
            if each.type == pafs.FileType.File
        ]

    @retried(writes=True)
    def move(self, name: str, to: str) -> None:
        """Gives a file another name; whatever had that is gone.

        A bucket copies and removes: whatever fails in between, the file is there under one of both.
        """
        with self._explained("write", to):
            source, target = self._changed(name), self._changed(to)
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            found = self.filesystem.get_file_info([source, target])
            if [each.type for each in found] != [pafs.FileType.NotFound, pafs.FileType.File]:
                self.filesystem.move(source, target)  # else an earlier try of this call did it

    @retried(writes=False)
    def folders(self, folder: str = "") -> list[str]:
        """Base names of a folder's folders, sorted."""
        with self._explained("list", folder):
            infos = self._selected(folder)
        return sorted(each.base_name for each in infos if each.type == pafs.FileType.Directory)

    @retried(writes=False)
    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._explained("read", name):
            found = self.filesystem.get_file_info(self.inside(name))
        return found.type == pafs.FileType.File

    @retried(writes=False)
    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None if there is none."""
        try:
            with (
                self._explained("read", name),
                self.filesystem.open_input_stream(self.inside(name)) as stream,
            ):
                return stream.read()
        except FileNotFoundError:
            return None

    @retried(writes=True)
    def write(self, name: str, data: bytes) -> None:
        """Puts a whole file in place of whatever had the name."""
        with (
            self._explained("write", name),
            self._aside(name) as path,
            self.filesystem.open_output_stream(path) as stream,
        ):
            stream.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Writes a file only if there is none; whether it did."""
        if not self.is_local:
            # Object stores offer no exclusive creation through pyarrow; the caller reads back.
            if self.exists(name):
                return False
            self.write(name, data)
            return True
        with self._explained("write", name):
            return local_file.create(Path(self._changed(name)), data)

    def write_table(self, name: str, table: pa.Table) -> str:
        """Puts a whole Parquet file in place of whatever had the name; the SHA-256 of the file."""
        data = parquet.to_bytes(table)
        self.write(name, data)
        return hashlib.sha256(data).hexdigest()

    def read_table(self, name: str) -> pa.Table:
        """A Parquet file, its digest checked.

        Raises:
            DamagedFile: If it is not what was written.
            FileNotFoundError: If there is none.
        """
        return self._parsed(name, self._present(name), parquet.table_of)

    def read_schema(self, name: str) -> pa.Schema:
        """A Parquet file's schema, without looking at its rows.

        Raises:
            DamagedFile: If it is not a whole Parquet file.
            FileNotFoundError: If there is none.
        """
        try:
            return parquet.plain(pq.read_schema(self.inside(name), filesystem=self.filesystem))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            # The store's fault or the file's: the file alone, read first, says which.
            return self._parsed(name, self._present(name), parquet.schema_of)

    def check_digest(self, name: str) -> bool:
        """Whether the file has a digest, which then is its content's.

        Raises:
            DamagedFile: If it is another.
            FileNotFoundError: If there is no such file.
        """
        return self._parsed(name, self._present(name), parquet.has_digest)

    def check(self, name: str) -> pa.Schema:
        """A Parquet file's schema, after its whole content was checked.

        Raises:
            DamagedFile: If it is not what was written.
            FileNotFoundError: If there is none.
        """
        return self._parsed(name, self._present(name), parquet.checked)

    def check_shape(self, name: str, columns: pa.Schema) -> None:
        """Refuses the columns of a Parquet file that raysweep did not write.

        Raises:
            DamagedFile: If they are those of another file than its name says.
        """
        if (found := shape.problem(name, columns)) is not None:
            raise self.damaged(name, f"the columns that raysweep writes, got: {found}")

    def _present(self, name: str) -> bytes:
        data = self.read(name)
        if data is None:
            raise FileNotFoundError(2, "No such file or directory", self.path(name))
        return data

    def _parsed(self, name: str, data: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(data)
        except Exception as error:  # damaged bytes may raise anything
            if isinstance(error, MemoryError) and parquet.is_whole(data):
                raise StoreError(
                    f"cannot read {self.path(name)}: expected memory for its "
                    f"{len(data) / 2**20:.0f} MiB, got: out of memory; free some and run the same "
                    "command again"
                ) from error
            raise self.damaged(name, f"a whole Parquet file, got: {reason_of(error)}") from error

    def damaged(self, name: str, reason: str) -> DamagedFile:
        """The error for a file whose content is wrong.

        Args:
            name: Name of the file below the root.
            reason: What was expected, and what was found: "a manifest, got: …".
        """
        return damaged(self.path(name), name, f"expected {reason}")

    @retried(writes=True)
    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with self._explained("remove", name), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self._changed(name))

    @retried(writes=True)
    def remove_folder(self, folder: str) -> None:
        """Removes a folder with all it holds, if it is there."""
        with self._explained("remove", folder), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_dir(self._changed(folder))

    @contextlib.contextmanager
    def _aside(self, name: str) -> Iterator[str]:
        path = self._changed(name)
        if self.is_local:
            with local_file.written_aside(Path(path)) as aside:
                yield str(aside)
        else:
            yield path

    @contextlib.contextmanager
    def _explained(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if verb in ("read", "remove"):
                raise  # the caller knows what that means
            raise self._unusable(verb, name, "No such file or directory") from error
        except (OSError, pa.ArrowException) as error:
            number = getattr(error, "errno", None)
            reason = os.strerror(number) if number else reason_of(error)
            raise self._unusable(verb, name, reason) from error

    def _unusable(self, verb: str, name: str, reason: str) -> StoreError:
        return StoreError(
            f"cannot {verb} {self.path(name)}: {reason}; make the store usable and run the same "
            "command again"
        )

"""Files in a folder or a bucket, which readers never see half written."""

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
from raysweep.store import local_file, parquet, remote_file, shape
from raysweep.store.damage import damaged, reason_of
from raysweep.store.retry import Patience, retried
from raysweep.store.uri import check_spelling, is_uri, single_put

DEFAULT_STORE = "sweeps"
# A part of a name that is empty, `.` or `..`, or a character that no name in a store has.
_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\\\x00-\x1f\x7f]")
T = TypeVar("T")


def store_uri(store: str | Path | None) -> str:
    """Return the argument, else `$RAYSWEEP_STORE`, else `sweeps`."""
    return str(store or os.environ.get("RAYSWEEP_STORE") or DEFAULT_STORE)


@dataclasses.dataclass(frozen=True)
class Info:
    """Name, size and age of a file.

    Args:
        name: Name of the file below the root.
        size: Size in bytes.
        changed: Time of the last write, in seconds since 1970.
    """

    name: str
    size: int
    changed: float


class Files:
    """Files below one root.

    A local file is written under a hidden name, which no glob of results matches, and renamed when
    it is complete; an object store shows an object only when it is complete.

    Args:
        root: A path (made absolute) or a URI that `pyarrow.fs` takes.

    Raises:
        SpecError: If the URI holds credentials or is of an unknown kind.
    """

    patience: Patience | None = None

    def __init__(self, root: str | Path) -> None:
        text = str(root)
        check_spelling(text)
        self.is_local = not is_uri(text) or text.startswith("file://")
        if self.is_local:
            path = Path(unquote(urlsplit(text).path) if text.startswith("file://") else text)
            self.uri = self.root = str(path.expanduser().absolute())
            self.filesystem: pafs.FileSystem = pafs.LocalFileSystem()
            return
        self.uri = text.rstrip("/")
        try:
            self.filesystem, path = pafs.FileSystem.from_uri(single_put(self.uri))
            if not path:
                raise ValueError("no bucket")
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            reason = re.sub(
                r"\?\S*", "?…", str(error).splitlines()[0]
            )  # a query may hold a signature
            scheme = urlsplit(text).scheme
            raise SpecError(
                f"expected a path or a URI such as s3://bucket/folder, "
                f"got {scheme}://...: {reason}",
                field="store",
            ) from error
        self.root = path.rstrip("/")

    def with_patience(self, patience: Patience | None) -> "Files":
        """Return the same files, with retries of operations that fail for a while."""
        patient = copy.copy(self)
        patient.patience = patience
        return patient

    @retried(writes=False)
    def patiently(self, action: Callable[[], None]) -> None:
        """Run an action that uses the store, with the same retries."""
        action()

    def below(self, folder: str) -> "Files":
        """Return the files of a folder below this root."""
        parts = urlsplit(self.uri)
        if self.is_local:
            return Files(f"{self.root}/{folder}")
        return Files(urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{folder}")))

    def check_bucket(self) -> None:
        """Check that the bucket exists: listing a missing one looks like listing an empty store.

        Raises:
            StoreError: If the bucket does not exist, or cannot be reached.
        """
        bucket = self.root.partition("/")[0]
        if self.is_local or not bucket:
            return
        with self._explained("list", ""):
            info = self.filesystem.get_file_info(bucket)
        if info.type == pafs.FileType.NotFound:
            raise self._unusable("list", "", f"no such bucket: {bucket}")

    def path(self, name: str) -> str:
        """Return the full path of a name below the root; every name is checked here.

        Names also come from files in the store, which others may have written: none may lead out of
        the root.

        Raises:
            StoreError: If the name is not that of a file or folder below the root.
        """
        if not name:
            return self.root
        if _UNSAFE.search(name):
            raise StoreError(
                f"expected names of files below {self.uri}, got {name!r}; something other than "
                "raysweep wrote to the store: restore it from a copy"
            )
        return f"{self.root}/{name}"

    def inside(self, name: str) -> str:
        """Return the full path of a name; no symbolic link may lead out of the root.

        Raises:
            StoreError: If a link leads out of the root; the root itself may be a link.
        """
        path = self.path(name)
        if self.is_local and name:
            root, real = os.path.realpath(self.root), os.path.realpath(path)
            if real != root and not real.startswith(root.rstrip("/") + "/"):
                raise StoreError(
                    f"expected files below {self.uri}, got {name}, a link that leads to {real}; "
                    "replace the link by the files themselves"
                )
        return path

    def _changed(self, name: str) -> str:
        """Return the path of a name to write or remove: a link there is replaced, not followed."""
        self.inside(name.rpartition("/")[0])
        return self.path(name)

    @retried(writes=False)
    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Return the names of a folder's files, sorted; none if there is no such folder."""
        with self._explained("list", folder):
            names = self._local_names(folder) if self.is_local else self._remote_names(folder)
        prefix = f"{folder}/" if folder else ""
        selected = sorted(
            prefix + name for name in names if name.endswith(suffix) and not name.startswith(".")
        )
        for name in selected:
            if names[name.removeprefix(prefix)]:
                self.inside(name)
        return selected

    def _local_names(self, folder: str) -> dict[str, bool]:
        """Return the names of a folder's files, and whether they are links, from one listing."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.inside(folder)) as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
        return {}

    def _remote_names(self, folder: str) -> dict[str, bool]:
        infos = self._listed(folder)
        return {info.base_name: False for info in infos if info.type == pafs.FileType.File}

    def _listed(self, folder: str) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(self.inside(folder), allow_not_found=True)
        return self.filesystem.get_file_info(selector)

    @retried(writes=False)
    def infos(self, folder: str, suffix: str = "") -> list["Info"]:
        """Return the files that `names` lists, with their sizes and ages."""
        with self._explained("list", folder):
            names = self.names(folder, suffix)
            infos = self.filesystem.get_file_info([self.path(name) for name in names])
        return [
            Info(info.path.removeprefix(f"{self.root}/"), info.size, info.mtime_ns / 1e9)
            for info in infos
            if info.type == pafs.FileType.File
        ]

    @retried(writes=True)
    def move(self, name: str, to: str) -> None:
        """Rename a file; a file that has the new name is replaced.

        In a bucket this is a copy and a removal, so that a failure loses nothing.
        """
        with self._explained("write", to):
            source, target = self._changed(name), self._changed(to)
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            types = [info.type for info in self.filesystem.get_file_info([source, target])]
            if types != [
                pafs.FileType.NotFound,
                pafs.FileType.File,
            ]:  # else an earlier try moved it
                self.filesystem.move(source, target)

    @retried(writes=False)
    def folders(self, folder: str = "") -> list[str]:
        """Return the base names of a folder's subfolders, sorted."""
        with self._explained("list", folder):
            infos = self._listed(folder)
        return sorted(info.base_name for info in infos if info.type == pafs.FileType.Directory)

    @retried(writes=False)
    def exists(self, name: str) -> bool:
        """Return whether the file exists."""
        with self._explained("read", name):
            info = self.filesystem.get_file_info(self.inside(name))
        return info.type == pafs.FileType.File

    @retried(writes=False)
    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""
        try:
            with self._explained("read", name):
                path = self.inside(name)
                if self.is_local:
                    return Path(path).read_bytes()
                return remote_file.read(self.filesystem, path)
        except FileNotFoundError:
            return None

    @retried(writes=True)
    def write(self, name: str, data: bytes) -> None:
        """Write a file, replacing any that has the name."""
        with (
            self._explained("write", name),
            self._aside(name) as path,
            self.filesystem.open_output_stream(path) as stream,
        ):
            stream.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists, and return whether it was written."""
        if not self.is_local:
            # pyarrow offers no exclusive creation in object stores; the caller reads the file back.
            if self.exists(name):
                return False
            self.write(name, data)
            return True
        with self._explained("write", name):
            return local_file.create(Path(self._changed(name)), data)

    def write_table(self, name: str, table: pa.Table) -> str:
        """Write a Parquet file, replacing any that has the name, and return its SHA-256."""
        data = parquet.to_bytes(table)
        self.write(name, data)
        return hashlib.sha256(data).hexdigest()

    def read_table(self, name: str) -> pa.Table:
        """Return the table in a Parquet file, after checking its digest.

        Raises:
            DamagedFile: If the content is not what was written.
            FileNotFoundError: If there is no such file.
        """
        return self._parsed(name, self._present(name), parquet.table_of)

    def read_schema(self, name: str) -> pa.Schema:
        """Return a Parquet file's schema without reading its rows.

        Raises:
            DamagedFile: If it is not a complete Parquet file.
            FileNotFoundError: If there is no such file.
        """
        try:
            return parquet.plain(pq.read_schema(self.inside(name), filesystem=self.filesystem))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            # Reading the file by itself shows whether the store or the file is to blame.
            return self._parsed(name, self._present(name), parquet.schema_of)

    def check_digest(self, name: str) -> bool:
        """Check the file's digest, and return whether it has one.

        Raises:
            DamagedFile: If the digest is of other content.
            FileNotFoundError: If there is no such file.
        """
        return self._parsed(name, self._present(name), parquet.has_digest)

    def check(self, name: str) -> pa.Schema:
        """Return a Parquet file's schema, after checking its whole content.

        Raises:
            DamagedFile: If the content is not what was written.
            FileNotFoundError: If there is no such file.
        """
        return self._parsed(name, self._present(name), parquet.checked)

    def check_shape(self, name: str, columns: pa.Schema) -> None:
        """Check that the columns are those that raysweep writes to such a file.

        Raises:
            DamagedFile: If they are not.
        """
        if (problem := shape.problem(name, columns)) is not None:
            raise self.damaged(name, f"the columns that raysweep writes, got {problem}")

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
                    f"cannot read {self.path(name)}: not enough memory for its "
                    f"{len(data) / 2**20:.0f} MiB; free some and run the same command again"
                ) from error
            raise self.damaged(name, f"a complete Parquet file, got: {reason_of(error)}") from error

    def damaged(self, name: str, reason: str) -> DamagedFile:
        """Return the error for a file whose content is wrong.

        Args:
            name: Name of the file below the root.
            reason: Text that says what was expected and found, such as "a manifest, got: …".
        """
        return damaged(self.path(name), name, f"expected {reason}")

    @retried(writes=True)
    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with self._explained("remove", name), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self._changed(name))

    @retried(writes=True)
    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its content, if it exists."""
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
                raise  # the caller handles it
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

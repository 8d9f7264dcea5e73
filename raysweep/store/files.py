"""Whole files in a folder or a bucket, by one code: written aside, then put in place."""

import contextlib
import copy
import dataclasses
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from raysweep.errors import SpecError, StoreError
from raysweep.store.retry import Patience, retried

DEFAULT_STORE = "sweeps"


def store_uri(store: str | Path | None) -> str:
    """The store that a command means: its argument, the environment's, or `sweeps`."""
    return str(store or os.environ.get("RAYSWEEP_STORE") or DEFAULT_STORE)


def _sync(path: Path) -> None:
    """Has the file on the disk before its name is: a power cut must not leave it empty."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _has_credentials(uri: str) -> bool:
    """Whether the URI holds a password, a key or a token."""
    parts = urlsplit(uri)
    user = parts.netloc.rpartition("@")[0]
    secret = re.compile("secret|password|token|key|sas", re.IGNORECASE)
    return (
        ":" in user
        or (parts.scheme == "s3" and bool(user))
        or any(secret.search(name) for name in parse_qs(parts.query))
    )


def _single_put(uri: str) -> str:
    """The URI, asking for small objects to be put by one request instead of three."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or "allow_delayed_open" in parts.query:
        return uri
    query = "&".join(each for each in (parts.query, "allow_delayed_open=true") if each)
    return urlunsplit(parts._replace(query=query))


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
        if _has_credentials(text):
            raise SpecError(
                "--store: expected a URI without credentials, got one with them; "
                "give them by the environment or the provider's credential files"
            )
        self.uri = text.rstrip("/")
        try:
            self.filesystem, path = pafs.FileSystem.from_uri(_single_put(self.uri))
            if not path:
                raise ValueError("no bucket")
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            scheme = urlsplit(text).scheme
            raise SpecError(
                f"--store: expected a path or a URI such as s3://bucket/folder, "
                f"got {scheme}://...: {reason}"
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

    def path(self, name: str) -> str:
        """The full path of a name below the root."""
        return f"{self.root}/{name}" if name else self.root

    @retried(writes=False)
    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Names below the root of a folder's files, sorted; none if there is no such folder."""
        with self._explained("list", folder):
            selector = pafs.FileSelector(self.path(folder), allow_not_found=True)
            infos = self.filesystem.get_file_info(selector)
        names = [each.base_name for each in infos if each.type == pafs.FileType.File]
        prefix = f"{folder}/" if folder else ""
        return sorted(
            prefix + name for name in names if name.endswith(suffix) and not name.startswith(".")
        )

    @retried(writes=False)
    def infos(self, folder: str, suffix: str = "") -> list["Info"]:
        """The files that `names` gives, with their sizes and ages."""
        with self._explained("list", folder):
            infos = self.filesystem.get_file_info(
                [self.path(name) for name in self.names(folder, suffix)]
            )
        return [
            Info(each.path.removeprefix(f"{self.root}/"), each.size, each.mtime_ns / 1e9)
            for each in infos
            if each.type == pafs.FileType.File
        ]

    def move(self, name: str, to: str) -> None:
        """Gives a file another name; whatever had that is gone."""
        with self._explained("write", to):
            if self.is_local:
                Path(self.path(to)).parent.mkdir(parents=True, exist_ok=True)
            self.filesystem.move(self.path(name), self.path(to))

    @retried(writes=False)
    def folders(self, folder: str = "") -> list[str]:
        """Base names of a folder's folders, sorted."""
        with self._explained("list", folder):
            selector = pafs.FileSelector(self.path(folder), allow_not_found=True)
            infos = self.filesystem.get_file_info(selector)
        return sorted(each.base_name for each in infos if each.type == pafs.FileType.Directory)

    @retried(writes=False)
    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._explained("read", name):
            return self.filesystem.get_file_info(self.path(name)).type == pafs.FileType.File

    @retried(writes=False)
    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None if there is none."""
        try:
            with (
                self._explained("read", name),
                self.filesystem.open_input_stream(self.path(name)) as stream,
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
        path = Path(self.path(name))
        with self._explained("write", name):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            aside.write_bytes(data)
            try:
                os.link(aside, path)
            except FileExistsError:
                return False
            finally:
                aside.unlink()
        return True

    @retried(writes=True)
    def write_table(self, name: str, table: pa.Table) -> None:
        """Puts a whole Parquet file in place of whatever had the name."""
        with self._explained("write", name), self._aside(name) as path:
            pq.write_table(table, path, filesystem=self.filesystem, compression="zstd")

    @retried(writes=False)
    def read_table(self, name: str) -> pa.Table:
        """A Parquet file."""
        with self._explained("read", name):
            return pq.read_table(self.path(name), filesystem=self.filesystem)

    @retried(writes=False)
    def read_schema(self, name: str) -> pa.Schema:
        """A Parquet file's schema."""
        with self._explained("read", name):
            return pq.read_schema(self.path(name), filesystem=self.filesystem)

    @retried(writes=True)
    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with self._explained("remove", name), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path(name))

    @retried(writes=True)
    def remove_folder(self, folder: str) -> None:
        """Removes a folder with all it holds, if it is there."""
        with self._explained("remove", folder), contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_dir(self.path(folder))

    @contextlib.contextmanager
    def _aside(self, name: str) -> Iterator[str]:
        path = self.path(name)
        if not self.is_local:
            yield path
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            yield str(aside)
            _sync(aside)
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _explained(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except pa.ArrowInvalid as error:
            raise StoreError(
                f"cannot {verb} {self.path(name)}: expected a whole Parquet file, "
                f"got: {str(error).splitlines()[0]}; remove it and run the same "
                "command again"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise StoreError(
                f"cannot {verb} {self.path(name)}: {reason}; make the store "
                "usable and run the same command again"
            ) from error

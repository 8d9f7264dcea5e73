"""Images of the user's own, from an `.npz` file that is known by the digest of its content.

The name of such a data set is `npz:` and 16 digits of the file's SHA-256. The file's path is in no
name: `use` notes it for this process, and `fetch` copies the file into the data folder, from which
workers read it.
"""

import functools
import hashlib
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Real
from torch import Tensor

from raysweep.tasks.data.base import Source, folder

PREFIX = "npz:"
FOLDER = "npz"
_DIGEST = re.compile(r"[0-9a-f]{1,16}")
KEYS = (("x_train", "x_test"), ("train", "test"))
_paths: dict[str, Path] = {}  # files that this process has seen, by digest


class MissingCopy(FileNotFoundError, ValueError):
    """Copy of a file that this machine's data folder lacks."""


def use(path: str) -> str:
    """Return the name of the data set in a file, which this process then can read.

    Args:
        path: Path of the `.npz` file, relative to the working directory.

    Raises:
        ValueError: If there is no such file, or its arrays are no images; in one line.
    """
    file = Path(path).expanduser().absolute()
    try:
        status = file.stat()
    except FileNotFoundError as error:
        raise ValueError(f"{file}: no such file") from error
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from error
    digest = _digest(file, status.st_mtime_ns, status.st_size)
    _images(file, digest)
    _paths[digest] = file
    return PREFIX + digest


@functools.lru_cache(maxsize=64)
def source(name: str) -> Source:
    """Return the source of a data set by its name, `npz:` and a digest.

    Raises:
        MissingCopy: If its file is unknown to this process and not in the data folder.
        ValueError: If it is no such name, as of a path.
    """
    digest = name.removeprefix(PREFIX)
    if not _DIGEST.fullmatch(digest):
        raise ValueError(
            f"dataset must be {PREFIX} and 16 digits of a file's SHA-256, got {name}; name a file "
            "as dataset: {npz: FILE}"
        )
    copy = folder() / FOLDER / f"{digest}.npz"
    path = copy if copy.is_file() else _paths.get(digest)
    if path is None:
        raise MissingCopy(
            f"dataset {name} needs {copy}, which is not there; name its file as dataset: "
            "{npz: FILE}, or put it there"
        )
    train, test = _images(path, digest)
    return Source(
        name,
        train=len(train),
        test=len(test),
        features=train.shape[1],
        white=255 if train.dtype == torch.uint8 else 1,
        read=lambda root: _images(path, digest),
        fetch=functools.partial(_copy, path, digest),
    )


def _copy(path: Path, digest: str, root: Path) -> None:
    """Copy the file into the data folder, completely or not at all, unless it is there."""
    target = root / FOLDER / f"{digest}.npz"
    if target.is_file():
        return
    content = _content(path, digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        aside = Path(scratch) / target.name
        aside.write_bytes(content)
        aside.replace(target)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return _digest_of(file.read())


def _content(path: Path, digest: str) -> bytes:
    """Return the file's bytes.

    Raises:
        ValueError: If they have another digest.
    """
    content = path.read_bytes()
    if _digest_of(content) != digest:
        raise ValueError(
            f"{path} has changed since its digest {digest} was computed; restore it, or delete it "
            "if it is a copy in the data folder"
        )
    return content


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.lru_cache(maxsize=2)
def _images(path: Path, digest: str) -> tuple[Real[Tensor, "N D"], Real[Tensor, "M D"]]:
    """Read training and test images.

    Raises:
        ValueError: If the file has another digest, or its arrays are no images.
    """
    _content(path, digest)
    arrays = _arrays(path)
    train, test = (_rows(f"{path}: {key}", array) for key, array in arrays.items())
    if train.shape[1] != test.shape[1] or train.dtype != test.dtype:
        shapes = [f"{array.dtype} {list(array.shape)}" for array in arrays.values()]
        raise ValueError(
            f"{path}: expected {' and '.join(arrays)} of one type and size of image, got "
            f"{' and '.join(shapes)}"
        )
    return train, test


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the two arrays by their names, training images first."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it has one array without a name")
        with loaded as file:
            for keys in KEYS:
                if set(keys) <= set(file.files):
                    return {key: file[key] for key in keys}
            given = ", ".join(sorted(file.files)) or "none"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: expected an .npz file of arrays: {reason}") from error
    wanted = " or ".join(" and ".join(keys) for keys in KEYS)
    raise ValueError(f"{path}: expected the arrays {wanted}, got {given}")


def _rows(name: str, array: np.ndarray) -> Real[Tensor, "N D"]:
    """Return images as rows, after a check of their shape and values."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name}: expected the shape [N, D] or [N, H, W], got {list(array.shape)}")
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array)).flatten(1)
    if array.dtype.kind != "f":
        raise ValueError(f"{name}: expected uint8, or floats from 0 to 1, got {array.dtype}")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{name}: expected floats from 0 to 1, or uint8, got values from {low:g} to {high:g}"
        )
    plain = np.float64 if array.dtype.itemsize >= 8 else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, plain)).flatten(1)

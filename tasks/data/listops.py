"""ListOps: files of expressions with their values."""

import dataclasses
import functools
import gzip
import hashlib
import lzma
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError

from raysweep.tasks.data import vision
from raysweep.tasks.data.base import not_at_hand
from raysweep.tasks.data.lock import locked

FOLDER = Path("ListOps")
URL = "https://github.com/nyu-mll/spinn/raw/refs/heads/listops-release/python/spinn/data/listops"

_READERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
}

Row = tuple[int, str]
"""Value of an expression, and its text."""


@dataclasses.dataclass(frozen=True)
class File:
    """File of rows, each a value, a tab and an expression; it may be compressed.

    Args:
        name: Name without the ending of a compressed file.
        md5: MD5 of the uncompressed content.
        url: Address of the uncompressed file, or None.
    """

    name: str
    md5: str
    url: str | None = None


FILES: Mapping[str, File] = MappingProxyType(
    {
        "official": File(
            "train_d20s.tsv", "f3141589f80dad7de8ce2b6bcbbd306b", f"{URL}/train_d20s.tsv"
        ),
        "official_test": File(
            "test_d20s.tsv", "a533eeca66c3b8a9ca7ddc47d4e5254b", f"{URL}/test_d20s.tsv"
        ),
        "official_subset": File(
            "train_d20s_official_subset1000.tsv", "295039f9ef101f27a2969249854f224f"
        ),
        "regenerated": File("train_regenerated_90k.tsv", "0e345ca573ff3124cf236ff352ce1e5f"),
    }
)
"""Files by the name of their set."""


def fetch(name: str, root: Path) -> None:
    """Download the file of a set, unless it is there; check it in either case.

    Args:
        name: Name of the set, a key of `FILES`.
        root: Folder of all data sets.

    Raises:
        FileNotFoundError: If the file is missing and cannot be downloaded.
        ValueError: If the file has unexpected content.
    """
    file = FILES[name]
    if _at_hand(file, root) is None and file.url is not None:
        with locked(root, f"listops-{name}"):
            if _at_hand(file, root) is None:
                _download(file, file.url, root)
    read(name, root)


@functools.lru_cache(maxsize=len(FILES))
def read(name: str, root: Path) -> tuple[Row, ...]:
    """Return the rows of a set, in the order of its file.

    Args:
        name: Name of the set, a key of `FILES`.
        root: Folder of all data sets.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file has unexpected content.
    """
    file = FILES[name]
    path = _at_hand(file, root)
    if path is None:
        raise FileNotFoundError(
            f"the {name} set of listops needs {root / FOLDER / file.name}, .gz or .xz too, which "
            "is not there; put it there, name another data folder by `data` or RAYSWEEP_DATA, or "
            "choose another set: generated, or training for validation_set"
        )
    try:
        content = _READERS[path.name.removeprefix(file.name)](path.read_bytes())
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ValueError(f"{path} is damaged ({error}); replace it") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != file.md5:
        raise ValueError(
            f"{path} must have MD5 {file.md5} uncompressed, but does not; replace it, or delete "
            "it if it can be downloaded"
        )
    rows = (line.split("\t") for line in content.decode("ascii").splitlines())
    return tuple((int(value), text) for value, text in rows)


def _at_hand(file: File, root: Path) -> Path | None:
    """Return the path of the file, whichever form of it is there, or None."""
    paths = [root / FOLDER / f"{file.name}{ending}" for ending in _READERS]
    return next((path for path in paths if path.is_file()), None)


def _download(file: File, url: str, root: Path) -> None:
    target = root / FOLDER / file.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            vision.datasets().utils.download_url(url, scratch, md5=file.md5)
            (Path(scratch) / file.name).replace(target)
    except (OSError, RuntimeError, URLError) as error:
        raise not_at_hand("listops", f"{target} from {url}", error) from error

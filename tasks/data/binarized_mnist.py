"""MNIST in its published binarisation: 28 x 28 images of zeros and ones."""

import hashlib
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Real
from torch import Tensor

from raysweep.tasks.data import vision
from raysweep.tasks.data.base import Source, not_at_hand
from raysweep.tasks.data.lock import locked

NAME = "binarized_mnist"
FOLDER = "BinarizedMNIST"
PACKED = "binarized_mnist_packed.npz"
URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
# SHA-256 of each part's bits, packed eight to a byte, row by row.
DIGESTS: Mapping[str, str] = {
    "train": "727146c35424b019f3e350e1e69faa05644a0abaf787e3f4e1a9632220a13906",
    "valid": "a256ac44ae26be720fad8616a05ed6ecfd1619930d9a208379bb2a4405df5b6d",
    "test": "9fcd8da6f0fdf09b2ba30fe63a0bb784042a0de82563172530229b983e294ff2",
}


def _read(root: Path) -> tuple[Real[Tensor, "_ 784"], ...]:
    """Read the packed file if it is there, else the three published ones, else download them.

    Salakhutdinov, Murray (2008), in the split of Larochelle, Murray (2011).
    """
    folder = root / FOLDER
    _fetch(root)
    if not (folder / PACKED).is_file():
        with locked(root, NAME):
            if not (folder / PACKED).is_file():  # another process may just have packed it
                _pack(folder)
    try:
        with np.load(folder / PACKED) as file:
            parts = {part: file[part] for part in DIGESTS}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise _damaged(folder / PACKED) from error
    for part, packed in parts.items():
        if hashlib.sha256(packed.tobytes()).hexdigest() != DIGESTS[part]:
            raise _damaged(folder / PACKED)
    return tuple(torch.from_numpy(np.unpackbits(parts[part], axis=1)) for part in DIGESTS)


def _fetch(root: Path) -> None:
    if not _at_hand(root):
        _download(root / FOLDER)


def _at_hand(root: Path) -> bool:
    folder = root / FOLDER
    published = (folder / _published(part) for part in DIGESTS)
    return (folder / PACKED).is_file() or all(path.is_file() for path in published)


def _published(part: str) -> str:
    return f"binarized_mnist_{part}.amat"


def _pack(folder: Path) -> None:
    """Pack the published text, which is slow to read; write the file atomically."""
    parts = {}
    for part, digest in DIGESTS.items():
        bits = np.loadtxt(folder / _published(part), dtype=np.uint8)
        parts[part] = np.packbits(bits, axis=1)
        if hashlib.sha256(parts[part].tobytes()).hexdigest() != digest:
            raise _damaged(folder / _published(part))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        aside = Path(scratch) / PACKED
        np.savez_compressed(aside, train=parts["train"], valid=parts["valid"], test=parts["test"])
        aside.replace(folder / PACKED)


def _download(folder: Path) -> None:
    utils = vision.datasets().utils
    files = [_published(part) for part in DIGESTS]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for file in files:
                utils.download_url(URL + file, scratch)
                (Path(scratch) / file).replace(folder / file)
    except (OSError, RuntimeError, URLError) as error:
        wanted = f"{', '.join(files)} (from {URL}) or {PACKED} in {folder}"
        raise not_at_hand(NAME, wanted, error) from error


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{path} must hold the published bits, but does not; delete it to fetch it again"
    )


BINARIZED_MNIST = Source(
    NAME,
    train=50_000,
    test=10_000,
    features=784,
    white=1,
    read=_read,
    fetch=_fetch,
    at_hand=_at_hand,
    valid=10_000,
    shape=(1, 28, 28),
)

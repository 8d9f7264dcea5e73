"""CIFAR-10: 32 x 32 colour images, as published, and two substitutes with names of their own.

`cifar10` is what torchvision downloads. `cifar10_subset` is its first 2,000 training images and
its first 1,000 test images, exact to the pixel. `cifar10_jpeg` has all images from lossy JPEG
files, whose pixels differ by 5.8 of 255 on average, and most of the test images in another order:
results on it are not results on CIFAR-10.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from raysweep.tasks.data.base import Source
from raysweep.tasks.data.cifar import PARTS, SHAPE, Part, Published, classes, rows

PUBLISHED = Published(
    "cifar10",
    "CIFAR10",
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
    (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
)
SUBSET = Path("CIFAR10") / "cifar10_exact_subset.npz"
JPEG = {part: Path("CIFAR10") / f"cifar10_jpeg_{part}.npz" for part in PARTS}
SUBSET_SIZES = {"train": 2000, "test": 1000}
# SHA-256 of the subset's pixels, pixel by pixel, then of its labels.
SUBSET_DIGESTS: Mapping[str, str] = {
    "train": "618795625cfde5f9fa4a93b07432862c78eaf132b61821c8176fbe2bc76471c2",
    "test": "3bbdff8a1946fbed0a833aaf37c6ffbb3d391356d3e79d47a8030d5ee93186db",
}
# SHA-256 of all JPEG files of a part, one after another, then of their labels.
JPEG_DIGESTS: Mapping[str, str] = {
    "train": "fe32b6a3f5456946296a4b5574637160690a26b86ccf193887dda183ef7480c4",
    "test": "7ca0923ccc57284f9f7eb37c8b8edc7c84de7dd001c75d93a6d68b3dc06f787a",
}


def _subset(root: Path) -> list[Part]:
    """Read the packed subset if it is there, else the first images of the whole."""
    path = root / SUBSET
    if path.is_file():
        arrays = _arrays(
            path, [f"{part}_{kind}" for part in PARTS for kind in ("images", "labels")]
        )
        parts = [Part(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in PARTS]
    else:
        sizes = SUBSET_SIZES.values()
        parts = [
            Part(part.images[:size], part.labels[:size])
            for part, size in zip(PUBLISHED.read(root), sizes, strict=True)
        ]
    for part, digest in zip(parts, SUBSET_DIGESTS.values(), strict=True):
        if _digest(part.images, part.labels) != digest:
            raise _damaged(path if path.is_file() else root / PUBLISHED.folder)
    return parts


def _fetch_subset(root: Path) -> None:
    """Check the packed subset if it is there, else fetch the whole."""
    if (root / SUBSET).is_file():
        _subset(root)
    else:
        PUBLISHED.fetch(root)


def _jpeg(root: Path) -> list[Part]:
    return [Part(_decoded(arrays), arrays["labels"]) for arrays in _jpeg_arrays(root)]


def _decoded(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Decode JPEG files that follow each other."""
    from PIL import Image  # noqa: PLC0415 - for this data set only

    content, ends = arrays["jpeg_bytes"].tobytes(), arrays["offsets"].tolist()
    files = (io.BytesIO(content[start:stop]) for start, stop in pairwise(ends))
    return np.stack([np.asarray(Image.open(file)) for file in files])


def _jpeg_labels(root: Path) -> tuple[Int[Tensor, " _"], ...]:
    return tuple(
        torch.from_numpy(arrays["labels"].astype(np.int64)) for arrays in _jpeg_arrays(root)
    )


def _jpeg_arrays(root: Path) -> list[dict[str, np.ndarray]]:
    _require_jpeg(root)
    parts = []
    for part, path in JPEG.items():
        arrays = _arrays(root / path, ["jpeg_bytes", "offsets", "labels"])
        if _digest(arrays["jpeg_bytes"], arrays["labels"]) != JPEG_DIGESTS[part]:
            raise _damaged(root / path)
        parts.append(arrays)
    return parts


def _require_jpeg(root: Path) -> None:
    if not _has_jpeg(root):
        wanted = " and ".join(path.name for path in JPEG.values())
        raise FileNotFoundError(
            f"cifar10_jpeg needs {wanted} in {root / JPEG['train'].parent}, which cannot be "
            "downloaded; the original images are the data set cifar10"
        )


def _has_jpeg(root: Path) -> bool:
    return all((root / path).is_file() for path in JPEG.values())


def _arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return {name: file[name] for name in names}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path) from error


def _digest(content: np.ndarray, labels: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(content).tobytes())
    digest.update(labels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path} must hold the published images, but does not; get it again")


CIFAR10 = Source(
    "cifar10",
    train=50_000,
    test=10_000,
    features=3072,
    white=255,
    read=lambda root: rows(PUBLISHED.read(root)),
    fetch=PUBLISHED.fetch,
    at_hand=PUBLISHED.at_hand,
    shape=SHAPE,
    classes=10,
    labels=lambda root: classes(PUBLISHED.read(root)),
)
CIFAR10_SUBSET = Source(
    "cifar10_subset",
    train=SUBSET_SIZES["train"],
    test=SUBSET_SIZES["test"],
    features=3072,
    white=255,
    read=lambda root: rows(_subset(root)),
    fetch=_fetch_subset,
    at_hand=lambda root: (root / SUBSET).is_file() or PUBLISHED.at_hand(root),
    files_of="cifar10",
    shape=SHAPE,
    classes=10,
    labels=lambda root: classes(_subset(root)),
)
CIFAR10_JPEG = Source(
    "cifar10_jpeg",
    train=50_000,
    test=10_000,
    features=3072,
    white=255,
    read=lambda root: rows(_jpeg(root)),
    fetch=_require_jpeg,
    at_hand=_has_jpeg,
    shape=SHAPE,
    classes=10,
    labels=_jpeg_labels,
    can_download=False,
)

"""ImageNet-16-120: 16 x 16 colour images of the first 120 classes of ImageNet.

The files are those of downsampled ImageNet at 16 x 16, which need an account at image-net.org, so
that they cannot be downloaded here. They are pickled: they are opened only if their checksums are
the published ones.

References:
    Chrabaszcz, Loshchilov, Hutter (2017), arXiv:1707.08819; Dong, Yang (2020), arXiv:2001.00326.
"""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Real
from torch import Tensor

from raysweep.tasks.data.base import Source

FOLDER = "ImageNet16"
CLASSES = 120
SIZES = {"train": 151_700, "test": 6_000}
# MD5 sum of each file. Test images are ImageNet's validation images, as its test set has no labels.
FILES: Mapping[str, Mapping[str, str]] = {
    "train": {
        "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
        "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
        "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
        "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
        "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
        "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
        "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
        "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
        "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
        "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    },
    "test": {"val_data": "3410e3017fdaefba8d5073aaa65e4bd6"},
}


class Part(NamedTuple):
    """Images as rows of all red, all green and all blue values, and their classes from 0."""

    images: Real[Tensor, "N 768"]
    labels: Int[Tensor, " N"]


def _at_hand(root: Path) -> bool:
    return all((root / FOLDER / file).is_file() for part in FILES.values() for file in part)


def _require(root: Path) -> None:
    if not _at_hand(root):
        raise FileNotFoundError(
            f"imagenet16 needs train_data_batch_1 to train_data_batch_10 and val_data in "
            f"{root / FOLDER}, which cannot be downloaded here; get Imagenet16_train.zip and "
            "Imagenet16_val.zip from image-net.org, or name another data folder by `data` or "
            "RAYSWEEP_DATA"
        )


def _check(root: Path) -> None:
    """Check that all files are there, and that they are the published ones."""
    _require(root)
    for files in FILES.values():
        for file, md5 in files.items():
            _content(root / FOLDER / file, md5)


def _read(root: Path) -> list[Part]:
    _require(root)
    return [
        _joined([_first_classes(root / FOLDER / file, md5) for file, md5 in files.items()])
        for files in FILES.values()
    ]


def _first_classes(path: Path, md5: str) -> Part:
    """Read the images of the first classes in a file, which counts classes from 1."""
    content = _content(path, md5)
    opened = pickle.loads(content)
    labels = torch.from_numpy(np.asarray(opened["labels"], dtype=np.int64)) - 1
    kept = labels < CLASSES
    return Part(torch.from_numpy(np.asarray(opened["data"], dtype=np.uint8))[kept], labels[kept])


def _content(path: Path, md5: str) -> bytes:
    """Return the content of a file whose checksum is as published."""
    content = path.read_bytes()
    if hashlib.md5(content).hexdigest() != md5:
        raise ValueError(f"{path} must have MD5 {md5}, but does not; get it again")
    return content


def _joined(parts: list[Part]) -> Part:
    return Part(torch.cat([part.images for part in parts]), torch.cat([p.labels for p in parts]))


IMAGENET16 = Source(
    "imagenet16",
    train=SIZES["train"],
    test=SIZES["test"],
    features=768,
    white=255,
    read=lambda root: tuple(part.images for part in _read(root)),
    fetch=_check,
    at_hand=_at_hand,
    shape=(3, 16, 16),
    classes=CLASSES,
    labels=lambda root: tuple(part.labels for part in _read(root)),
    can_download=False,
)

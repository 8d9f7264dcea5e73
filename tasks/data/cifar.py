"""CIFAR-10 and CIFAR-100 as published: 32 x 32 colour images, read by torchvision."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Int, Real
from torch import Tensor

from raysweep.tasks.data import vision
from raysweep.tasks.data.base import Source, not_at_hand

PARTS = ("train", "test")
SHAPE = (3, 32, 32)


class Part(NamedTuple):
    """Examples of the training set or of the test set, as stored."""

    images: np.ndarray  # `N 32 32 3`
    labels: np.ndarray


def rows(parts: Sequence[Part]) -> tuple[Real[Tensor, "_ 3072"], ...]:
    """Return images as rows of all red, all green and all blue values."""
    return tuple(
        torch.from_numpy(np.ascontiguousarray(part.images.transpose(0, 3, 1, 2))).flatten(1)
        for part in parts
    )


def classes(parts: Sequence[Part]) -> tuple[Int[Tensor, " _"], ...]:
    """Return the class of every image."""
    return tuple(torch.from_numpy(part.labels.astype(np.int64)) for part in parts)


@dataclasses.dataclass(frozen=True)
class Published:
    """Files of a data set that torchvision downloads and reads.

    Args:
        name: Name of the data set.
        kind: Name of torchvision's class, which knows the MD5 sum of each file.
        folder: Folder of the extracted files, in the data folder.
        packed: Name of the packed file.
        files: Names of the extracted files.
    """

    name: str
    kind: str
    folder: str
    packed: str
    files: tuple[str, ...]

    def read(self, root: Path) -> list[Part]:
        """Read the extracted files of a data folder, else the packed one; download neither twice.

        Raises:
            FileNotFoundError: If they are missing and cannot be downloaded.
            ValueError: If a file is damaged.
        """
        self.fetch(root)
        if self._extracted(root):
            return self._opened(root)
        with tempfile.TemporaryDirectory() as scratch:  # the data folder may be read-only
            (Path(scratch) / self.packed).symlink_to(root / self.packed)
            return self._opened(Path(scratch), download=True)

    def at_hand(self, root: Path) -> bool:
        """Return whether a data folder has the files."""
        return self._extracted(root) or (root / self.packed).is_file()

    def fetch(self, root: Path) -> None:
        """Download missing files, and check them, as torchvision would replace a damaged one.

        Raises:
            FileNotFoundError: If they cannot be downloaded.
            ValueError: If a file is damaged.
        """
        if not self.at_hand(root):
            self._download(root)
        checksums = [(self.packed, self._class.tgz_md5)]
        if self._extracted(root):
            listed = [*self._class.train_list, *self._class.test_list]
            checksums = [(f"{self.folder}/{file}", checksum) for file, checksum in listed]
        for file, checksum in checksums:
            if not vision.datasets().utils.check_integrity(root / file, checksum):
                raise ValueError(
                    f"{root / file} must have MD5 {checksum}, but does not; delete it to fetch it "
                    "again"
                )

    @property
    def _class(self) -> Any:
        return getattr(vision.datasets(), self.kind)

    def _opened(self, root: Path, *, download: bool = False) -> list[Part]:
        sets = [self._class(root, train=part == "train", download=download) for part in PARTS]
        return [Part(opened.data, np.asarray(opened.targets)) for opened in sets]

    def _extracted(self, root: Path) -> bool:
        return all((root / self.folder / file).is_file() for file in self.files)

    def _download(self, root: Path) -> None:
        """Download each file atomically, as other workers may be downloading it too."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                self._class(scratch, download=True)
                (root / self.folder).mkdir(exist_ok=True)
                for file in (Path(scratch) / self.folder).iterdir():
                    file.replace(root / self.folder / file.name)
        except (OSError, RuntimeError, URLError) as error:
            wanted = f"{self.packed}, or the files extracted from it in {self.folder}, in {root}"
            raise not_at_hand(self.name, wanted, error) from error


_CIFAR100 = Published(
    "cifar100", "CIFAR100", "cifar-100-python", "cifar-100-python.tar.gz", ("train", "test", "meta")
)

CIFAR100 = Source(
    "cifar100",
    train=50_000,
    test=10_000,
    features=3072,
    white=255,
    read=lambda root: rows(_CIFAR100.read(root)),
    fetch=_CIFAR100.fetch,
    at_hand=_CIFAR100.at_hand,
    shape=SHAPE,
    classes=100,
    labels=lambda root: classes(_CIFAR100.read(root)),
)

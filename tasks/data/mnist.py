"""MNIST and Fashion-MNIST: 28 x 28 images, read and downloaded by torchvision's classes."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Int, Real
from torch import Tensor

from raysweep.tasks.data import vision
from raysweep.tasks.data.base import Source, not_at_hand

# MD5 of the extracted files; those of the packed ones are torchvision's.
DIGESTS: Mapping[str, Mapping[str, str]] = {
    "MNIST": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
FILES = tuple(DIGESTS["MNIST"])


def _read(dataset: str, root: Path) -> tuple[Real[Tensor, "_ 784"], ...]:
    return tuple(part.data.flatten(1) for part in _parts(dataset, root))


def _labels(dataset: str, root: Path) -> tuple[Int[Tensor, " _"], ...]:
    return tuple(part.targets for part in _parts(dataset, root))


def _parts(dataset: str, root: Path) -> tuple[Any, Any]:
    """Read extracted files if they are there, else the packed ones, else download them."""
    _fetch(dataset, root)
    raw = root / dataset / "raw"
    return _opened(dataset, root) if _extracted(raw) else _unpack(dataset, raw)


def _fetch(dataset: str, root: Path) -> None:
    """Download missing files, and check them, as torchvision would replace a damaged one."""
    raw = root / dataset / "raw"
    if not _at_hand(dataset, root):
        _download(dataset, root)
    extracted = DIGESTS[dataset].items()
    for file, checksum in extracted if _extracted(raw) else _class(dataset).resources:
        _check(raw / file, checksum)


def _at_hand(dataset: str, root: Path) -> bool:
    raw = root / dataset / "raw"
    return _extracted(raw) or all((raw / f"{file}.gz").is_file() for file in FILES)


def _extracted(raw: Path) -> bool:
    return all((raw / file).is_file() for file in FILES)


def _check(path: Path, checksum: str) -> None:
    if not vision.datasets().utils.check_integrity(path, checksum):
        raise ValueError(
            f"{path} must have MD5 {checksum}, but does not; delete it to fetch it again"
        )


def _class(dataset: str) -> Any:
    """Return torchvision's class of that name, which is also its folder's name."""
    return getattr(vision.datasets(), dataset)


def _opened(dataset: str, root: Path, *, download: bool = False) -> tuple[Any, Any]:
    """Return torchvision's training set and test set."""
    train = _class(dataset)(root, train=True, download=download)
    return train, _class(dataset)(root, train=False, download=False)


def _unpack(dataset: str, raw: Path) -> tuple[Any, Any]:
    """Read packed files without writing next to them: their folder may be shared or read-only."""
    with tempfile.TemporaryDirectory() as scratch:
        linked = Path(scratch) / dataset / "raw"
        linked.mkdir(parents=True)
        for file, _ in _class(dataset).resources:
            (linked / file).symlink_to(raw / file)
        return _opened(dataset, Path(scratch), download=True)


def _download(dataset: str, root: Path) -> None:
    """Download each file atomically, as other workers may be downloading it too."""
    target = root / dataset / "raw"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            _class(dataset)(scratch, download=True)
            target.mkdir(parents=True, exist_ok=True)
            for file in (Path(scratch) / dataset / "raw").iterdir():
                file.replace(target / file.name)
    except (OSError, RuntimeError) as error:
        wanted = f"{', '.join(FILES)} (or the same files as .gz) in {target}"
        raise not_at_hand(dataset, wanted, error) from error


MNIST, FASHION_MNIST = (
    Source(
        name,
        train=60_000,
        test=10_000,
        features=784,
        white=255,
        read=partial(_read, dataset),
        fetch=partial(_fetch, dataset),
        at_hand=partial(_at_hand, dataset),
        shape=(1, 28, 28),
        classes=10,
        labels=partial(_labels, dataset),
    )
    for name, dataset in (("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"))
)

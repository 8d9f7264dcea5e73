"""MNIST and Fashion-MNIST: 28 x 28 images, read and downloaded by torchvision's classes."""

import tempfile
from pathlib import Path
from typing import Any

from jaxtyping import Real
from torch import Tensor

from tasks.data import vision
from tasks.data.base import Source, not_at_hand

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _read(dataset: str, root: Path) -> tuple[Real[Tensor, "N 784"], Real[Tensor, "M 784"]]:
    """Extracted files if they are there, else the packed ones, else a download."""
    raw = root / dataset / "raw"
    if all((raw / file).is_file() for file in FILES):
        return _images(dataset, root)
    if all((raw / f"{file}.gz").is_file() for file in FILES):
        return _unpack(dataset, raw)
    _download(dataset, root)
    return _images(dataset, root)


def _class(dataset: str) -> Any:
    """`torchvision.datasets.MNIST` or `FashionMNIST`; torchvision names its folders after them."""
    return getattr(vision.datasets(), dataset)


def _images(
    dataset: str, root: Path, *, download: bool = False
) -> tuple[Real[Tensor, "N 784"], Real[Tensor, "M 784"]]:
    train = _class(dataset)(root, train=True, download=download).data
    test = _class(dataset)(root, train=False, download=False).data
    return train.flatten(1), test.flatten(1)


def _unpack(dataset: str, raw: Path) -> tuple[Real[Tensor, "N 784"], Real[Tensor, "M 784"]]:
    """Reads packed files without writing beside them: their folder may be shared, or read-only."""
    utils = vision.datasets().utils
    for file, checksum in _class(dataset).resources:
        # Torchvision would replace a file that fails its checksum, through the link below.
        if not utils.check_integrity(raw / file, checksum):
            raise ValueError(f"{raw / file} must have MD5 {checksum}, and has not: fetch it again")
    with tempfile.TemporaryDirectory() as scratch:
        linked = Path(scratch) / dataset / "raw"
        linked.mkdir(parents=True)
        for file, _ in _class(dataset).resources:
            (linked / file).symlink_to(raw / file)
        return _images(dataset, Path(scratch), download=True)


def _download(dataset: str, root: Path) -> None:
    """Puts the files into the data folder, whole or not at all: other workers may be at it too."""
    target = root / dataset / "raw"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            _class(dataset)(scratch, download=True)
            target.mkdir(parents=True, exist_ok=True)
            for file in (Path(scratch) / dataset / "raw").iterdir():
                file.replace(target / file.name)
    except (OSError, RuntimeError) as error:
        wanted = f"{', '.join(FILES)} (or the same packed as .gz) in {target}"
        raise not_at_hand(dataset, wanted, error) from error


def _read_mnist(root: Path) -> tuple[Real[Tensor, "N 784"], Real[Tensor, "M 784"]]:
    return _read("MNIST", root)


def _read_fashion_mnist(root: Path) -> tuple[Real[Tensor, "N 784"], Real[Tensor, "M 784"]]:
    return _read("FashionMNIST", root)


MNIST = Source("mnist", train=60_000, test=10_000, features=784, white=255, read=_read_mnist)
FASHION_MNIST = Source(
    "fashion_mnist", train=60_000, test=10_000, features=784, white=255, read=_read_fashion_mnist
)

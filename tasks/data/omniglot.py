"""Omniglot: handwritten characters, as 28 x 28 grey values or as Burda's binary ones."""

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Real
from torch import Tensor

from raysweep.tasks.data import vision
from raysweep.tasks.data.base import Source, not_at_hand

SIDE, SMALL = 105, 28
PACKED = Path("Omniglot") / "omniglot_105_packed.npz"
PARTS = {"background": "images_background", "evaluation": "images_evaluation"}
# SHA-256 of each part's ink, eight bits to a byte, in the order of alphabet, character, drawer.
DIGESTS: Mapping[str, str] = {
    "background": "fa99ab70a348e2f9f02e33f6c9beb789eb1241418acf7ebc2f703301815bf452",
    "evaluation": "5bdcd30aa88e9096667576ae13f63e07dfe325d8711bf643359338d5dcd36144",
}
BURDA = Path("Omniglot") / "chardata.mat"
BURDA_URL = "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat"
BURDA_MD5 = "21ecaf34373511aa7691cf2e0802aa3d"


def _read(root: Path) -> tuple[Real[Tensor, "_ 784"], ...]:
    """Read background images as training set, evaluation images as test set; ink is white.

    Read packed bits if they are there, else torchvision's folders, else download these. Images of
    105 x 105 become 28 x 28 by the mean over areas.
    """
    packed = root / PACKED
    _fetch(root)
    ink = dict(_packed(packed) if packed.is_file() else _drawn(root / "omniglot-py"))
    for part, bits in ink.items():
        if hashlib.sha256(np.packbits(bits, axis=1).tobytes()).hexdigest() != DIGESTS[part]:
            where = packed if packed.is_file() else root / "omniglot-py" / PARTS[part]
            raise ValueError(
                f"{where} must hold the published images, but does not; delete it to get it again"
            )
    return _shrunk(ink["background"]), _shrunk(ink["evaluation"])


def _fetch(root: Path) -> None:
    if not _at_hand(root):
        _download(root)


def _at_hand(root: Path) -> bool:
    extracted = root / "omniglot-py"
    return (root / PACKED).is_file() or all((extracted / name).is_dir() for name in PARTS.values())


def _packed(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with np.load(path) as file:
            for part in PARTS:
                bits = np.unpackbits(file[f"{part}_images_packed"], axis=1)
                yield part, bits[:, : SIDE * SIDE]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to get it again") from error


def _drawn(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Read images as torchvision extracts them, by alphabet, character and drawer."""
    from PIL import Image  # noqa: PLC0415 - for this data set only

    for part, name in PARTS.items():
        files = sorted((folder / name).glob("*/*/*.png"))
        rows = [np.asarray(Image.open(file).convert("L")).ravel() < 128 for file in files]
        yield part, np.stack(rows).astype(np.uint8)


def _shrunk(ink: np.ndarray) -> Real[Tensor, "N 784"]:
    from PIL import Image  # noqa: PLC0415 - for this data set only

    images = (ink * np.uint8(255)).reshape(-1, SIDE, SIDE)
    small = [
        np.asarray(Image.fromarray(image).resize((SMALL, SMALL), Image.Resampling.BOX))
        for image in images
    ]
    return torch.from_numpy(np.stack(small)).flatten(1)


def _download(root: Path) -> None:
    """Download torchvision's folders, each atomically."""
    target = root / "omniglot-py"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            for background, folder in ((True, "images_background"), (False, "images_evaluation")):
                if (target / folder).is_dir():
                    continue
                vision.datasets().Omniglot(scratch, background=background, download=True)
                (Path(scratch) / "omniglot-py" / folder).replace(target / folder)
    except (OSError, RuntimeError, URLError) as error:
        raise not_at_hand(
            "omniglot", f"images_background and images_evaluation in {target}", error
        ) from error


def _read_burda(root: Path) -> tuple[Real[Tensor, "_ 784"], ...]:
    """Read Burda's split, resolution and values; `chardata.mat` has an image per column."""
    from scipy.io import loadmat  # noqa: PLC0415 - for this data set only

    path = root / BURDA
    _fetch_burda(root)
    content = loadmat(path)
    train, test = (
        torch.from_numpy(np.ascontiguousarray(content[key].T)) for key in ("data", "testdata")
    )
    return train, test


def _fetch_burda(root: Path) -> None:
    path = root / BURDA
    if path.is_file():
        if not vision.datasets().utils.check_integrity(path, BURDA_MD5):
            raise ValueError(
                f"{path} must have MD5 {BURDA_MD5}, but does not; delete it to get it again"
            )
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            vision.datasets().utils.download_url(BURDA_URL, scratch, md5=BURDA_MD5)
            (Path(scratch) / path.name).replace(path)
    except (OSError, RuntimeError, URLError) as error:
        raise not_at_hand("omniglot_burda", f"{path} from {BURDA_URL}", error) from error


OMNIGLOT = Source(
    "omniglot",
    train=19_280,
    test=13_180,
    features=SMALL**2,
    white=255,
    read=_read,
    fetch=_fetch,
    at_hand=_at_hand,
    shape=(1, SMALL, SMALL),
)
OMNIGLOT_BURDA = Source(
    "omniglot_burda",
    train=24_345,
    test=8_070,
    features=SMALL**2,
    white=1,
    read=_read_burda,
    fetch=_fetch_burda,
    at_hand=lambda root: (root / BURDA).is_file(),
    shape=(1, SMALL, SMALL),
)

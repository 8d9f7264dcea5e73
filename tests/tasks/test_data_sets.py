import gzip
import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from tasks import data
from tasks.data import vision
from tasks.data.mnist import FILES


@pytest.fixture
def use_folder(monkeypatch):
    """Makes a folder the data folder."""
    return lambda folder: monkeypatch.setenv("RAYSWEEP_DATA", str(folder))


@pytest.fixture
def mirror(monkeypatch):
    """Replaces torchvision's download by a function of (url, download_root, filename, md5)."""
    vision.datasets()
    name = "torchvision.datasets.mnist.download_and_extract_archive"
    return lambda function: monkeypatch.setattr(name, function)


def test_digits_are_split_1500_to_297():
    digits = data.load("digits")
    assert digits.train.shape == (1500, 64)
    assert digits.test.shape == (297, 64)
    assert digits.train.dtype == torch.float32
    assert digits.train.min() == 0
    assert digits.train.max() == 1


def test_a_data_set_is_read_once():
    assert data.load("digits").train is data.load("digits").train
    assert data.load("digits", dtype=torch.float64).train.dtype == torch.float64


@pytest.mark.parametrize("name", data.names())
def test_what_is_known_before_reading_is_true(name, data_folder, use_folder):
    source = data.get(name)
    use_folder(data_folder)
    if name == "fashion_mnist" and not (data_folder / "FashionMNIST").is_dir():
        pytest.skip(f"no FashionMNIST in {data_folder}")
    images = data.load(name)
    assert images.train.shape == (source.train, source.features)
    assert images.test.shape == (source.test, source.features)
    assert images.train.aminmax() == (0, 1)


def test_packed_files_are_read_without_writing_beside_them(data_folder, use_folder, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in FILES:
        (raw / f"{file}.gz").symlink_to(data_folder / "MNIST" / "raw" / f"{file}.gz")
    use_folder(tmp_path)
    assert data.load("mnist").train.mean() == pytest.approx(0.1307, abs=1e-4)
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{file}.gz" for file in FILES)


def test_a_damaged_packed_file_is_named(use_folder, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in FILES:
        (raw / f"{file}.gz").write_bytes(b"not this")
    use_folder(tmp_path)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz must have MD5 f68b3c2d"):
        data.load("mnist")


def test_missing_files_are_named_with_the_remedy(use_folder, tmp_path, mirror):
    def unreachable(url, download_root, filename, md5):
        raise URLError("no network")

    mirror(unreachable)
    use_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no network.* --data or RAYSWEEP_DATA") as error:
        data.load("mnist")
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert all(file in str(error.value) for file in FILES)
    assert list(tmp_path.iterdir()) == []


def test_downloaded_files_stay_in_the_data_folder(data_folder, use_folder, tmp_path, mirror):
    def fetch(url, download_root, filename, md5):
        packed = data_folder / "MNIST" / "raw" / filename
        with gzip.open(packed) as source, (Path(download_root) / packed.stem).open("wb") as sink:
            shutil.copyfileobj(source, sink)

    mirror(fetch)
    use_folder(tmp_path)
    assert data.load("mnist").test.shape == (10_000, 784)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MNIST"]
    assert sorted(path.name for path in (tmp_path / "MNIST" / "raw").iterdir()) == sorted(FILES)
    mirror(None)
    assert data.load("mnist", dtype=torch.float64).test.shape == (10_000, 784)


def test_data_folder_defaults_to_the_users_cache(monkeypatch):
    monkeypatch.delenv("RAYSWEEP_DATA", raising=False)
    assert data.folder() == Path.home() / ".cache" / "raysweep"


def test_unknown_data_set_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got mnst; did you mean mnist"):
        data.load("mnst")

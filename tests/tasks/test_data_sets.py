import gzip
import hashlib
import math
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from raysweep.tasks import data
from raysweep.tasks.data import binarized_mnist, omniglot, vision
from raysweep.tasks.data.mnist import FILES


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
    if not source.at_hand(data_folder):
        pytest.skip(f"no files of {name} in {data_folder}")
    images = data.load(name)
    assert images.train.shape == (source.train, source.features)
    assert images.test.shape == (source.test, source.features)
    if source.white is not None:
        assert images.train.aminmax() == (0, 1)
    assert math.prod(source.shape or [source.features]) == source.features
    if not source.classes:
        return
    labels = data.load_labels(name)
    assert labels.train.unique().tolist() == list(range(source.classes))
    assert (len(labels.train), len(labels.test)) == (source.train, source.test)


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
    with pytest.raises(FileNotFoundError, match=r"no network.* `data` or RAYSWEEP_DATA") as error:
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


def test_binarised_mnist_is_zeros_and_ones_with_the_published_means(data_folder, use_folder):
    if not (data_folder / "BinarizedMNIST").is_dir():
        pytest.skip(f"no BinarizedMNIST in {data_folder}")
    use_folder(data_folder)
    images = data.load("binarized_mnist")
    assert images.train.unique().tolist() == [0, 1]
    assert images.train.mean() == pytest.approx(0.1306, abs=1e-4)
    assert images.test.mean() == pytest.approx(0.1325, abs=1e-4)


@pytest.fixture
def tiny_bits(monkeypatch):
    """Three parts of two images, whose digests count as the published ones."""
    bits = np.random.default_rng(0).integers(0, 2, (3, 2, 784), dtype=np.uint8)
    parts = dict(zip(("train", "valid", "test"), bits, strict=True))
    digests = {
        part: hashlib.sha256(np.packbits(each, axis=1).tobytes()).hexdigest()
        for part, each in parts.items()
    }
    monkeypatch.setattr(binarized_mnist, "DIGESTS", digests)
    return parts


def test_published_text_is_packed_beside_itself(tiny_bits, use_folder, tmp_path):
    folder = tmp_path / "BinarizedMNIST"
    folder.mkdir()
    for part, bits in tiny_bits.items():
        np.savetxt(folder / f"binarized_mnist_{part}.amat", bits, fmt="%d")
    use_folder(tmp_path)
    images = data.load("binarized_mnist")
    assert np.array_equal(images.train.numpy(), tiny_bits["train"])
    assert np.array_equal(images.test.numpy(), tiny_bits["test"])
    assert (folder / "binarized_mnist_packed.npz").is_file()
    for part in tiny_bits:
        (folder / f"binarized_mnist_{part}.amat").unlink()
    again = data.load("binarized_mnist", dtype=torch.float64)
    assert torch.equal(again.train, images.train.double())


@pytest.mark.parametrize("content", [b"not a file of arrays", None], ids=["garbage", "other bits"])
def test_a_damaged_file_of_bits_is_named(content, use_folder, tmp_path):
    folder = tmp_path / "BinarizedMNIST"
    folder.mkdir()
    path = folder / "binarized_mnist_packed.npz"
    if content is None:
        zeros = np.zeros((2, 98), dtype=np.uint8)
        np.savez(path, train=zeros, valid=zeros, test=zeros)
    else:
        path.write_bytes(content)
    use_folder(tmp_path)
    with pytest.raises(ValueError, match=r"packed.npz must hold the published bits.*again"):
        data.load("binarized_mnist")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("binarized_mnist", "binarized_mnist_train.amat"),
        ("omniglot", "images_background"),
        ("omniglot_burda", "chardata.mat"),
    ],
)
def test_other_missing_files_are_named_with_the_remedy(
    name, wanted, use_folder, tmp_path, monkeypatch
):
    def unreachable(*arguments, **keywords):
        raise URLError("no network")

    vision.datasets()
    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    monkeypatch.setattr("torchvision.datasets.omniglot.download_and_extract_archive", unreachable)
    use_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no network.* `data` or RAYSWEEP_DATA") as error:
        data.load(name)
    assert "\n" not in str(error.value)
    assert wanted in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_omniglot_shrinks_to_the_means_over_areas(data_folder, use_folder):
    path = data_folder / "Omniglot" / "omniglot_28_box.npz"
    if not path.is_file():
        pytest.skip(f"no Omniglot/omniglot_28_box.npz in {data_folder}")
    use_folder(data_folder)
    images = data.load("omniglot")
    with np.load(path) as file:
        for part, found in (("background", images.train), ("evaluation", images.test)):
            target = torch.from_numpy(file[part]).flatten(1)
            assert torch.equal((found * 255).round().to(torch.uint8), target)


def test_only_the_missing_folder_of_omniglot_is_downloaded(tmp_path, monkeypatch):
    def download(scratch, background, download):
        (Path(scratch) / "omniglot-py" / "images_evaluation" / "new").mkdir(parents=True)

    monkeypatch.setattr(vision.datasets(), "Omniglot", download)
    kept = tmp_path / "omniglot-py" / "images_background" / "old"
    kept.mkdir(parents=True)
    data.fetch("omniglot", tmp_path)
    assert kept.is_dir()
    assert (tmp_path / "omniglot-py" / "images_evaluation" / "new").is_dir()


def test_drawn_omniglot_is_the_packed_one(use_folder, tmp_path, monkeypatch):
    """Torchvision's folders of black ink on white, against packed bits of the same images."""
    ink = np.random.default_rng(0).integers(0, 2, (2, 3, 105, 105), dtype=np.uint8)
    digests = {}
    for part, images in zip(omniglot.PARTS, ink, strict=True):
        rows = images.reshape(3, -1)
        digests[part] = hashlib.sha256(np.packbits(rows, axis=1).tobytes()).hexdigest()
        places = ("Angelic/character01/0001_01", "Angelic/character02/0002_01", "B/character01/1_1")
        for place, image in zip(places, images, strict=True):
            path = tmp_path / "omniglot-py" / omniglot.PARTS[part] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((1 - image) * np.uint8(255)).convert("1").save(path)
    monkeypatch.setattr(omniglot, "DIGESTS", digests)
    use_folder(tmp_path)
    found = data.load("omniglot")
    assert found.train.shape == found.test.shape == (3, 784)
    assert found.train.view(3, 28, 28).mean() == pytest.approx(ink[0].mean(), abs=0.01)


def test_another_omniglot_than_the_published_one_is_named(use_folder, tmp_path):
    path = tmp_path / "Omniglot" / "omniglot_105_packed.npz"
    path.parent.mkdir()
    zeros = np.zeros((2, 1379), dtype=np.uint8)
    np.savez(path, background_images_packed=zeros, evaluation_images_packed=zeros)
    use_folder(tmp_path)
    with pytest.raises(ValueError, match=r"omniglot_105_packed.npz must hold the published images"):
        data.load("omniglot")


def test_burdas_file_has_an_image_per_column(use_folder, tmp_path, monkeypatch):
    path = tmp_path / "Omniglot" / "chardata.mat"
    path.parent.mkdir()
    images = np.random.default_rng(0).random((784, 5))
    savemat(path, {"data": images, "testdata": images[:, :2]})
    monkeypatch.setattr(omniglot, "BURDA_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    use_folder(tmp_path)
    found = data.load("omniglot_burda", dtype=torch.float64)
    assert np.array_equal(found.train.numpy(), images.T)
    assert found.test.shape == (2, 784)


def test_another_file_of_burdas_name_is_refused(use_folder, tmp_path):
    path = tmp_path / "Omniglot" / "chardata.mat"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    use_folder(tmp_path)
    with pytest.raises(ValueError, match=r"chardata.mat must have MD5 21ecaf34.*get it again"):
        data.load("omniglot_burda")

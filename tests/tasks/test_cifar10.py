"""CIFAR-10 as published, cut, and in lossy files; and the points of the plane."""

import hashlib
import io
import pickle
import shutil
import tarfile
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from raysweep.tasks import data
from raysweep.tasks.data import cifar10, vision

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
CLASSES = np.arange(12, dtype=np.uint8) % 10


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def real(data_folder):
    if not (data_folder / "CIFAR10").is_dir():
        pytest.skip(f"no CIFAR10 in {data_folder}")
    return data_folder


@pytest.fixture
def published(folder, monkeypatch):
    """Twelve images in torchvision's layout, whose checksums count as the published ones."""
    batches = folder / cifar10.PUBLISHED.folder
    batches.mkdir()
    rows = IMAGES.transpose(0, 3, 1, 2).reshape(12, -1)
    parts = {f"data_batch_{number + 1}": slice(2 * number, 2 * number + 2) for number in range(5)}
    for name, part in {**parts, "test_batch": slice(10, 12)}.items():
        content = {"data": rows[part], "labels": CLASSES[part].tolist()}
        (batches / name).write_bytes(pickle.dumps(content))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    cls = vision.datasets().CIFAR10
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in batches.iterdir()}
    monkeypatch.setattr(cls, "train_list", [[name, sums[name]] for name in parts])
    monkeypatch.setattr(cls, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {**cls.meta, "md5": sums["batches.meta"]}
    monkeypatch.setattr(cls, "meta", meta)
    return batches


def check_twelve(images, labels):
    whole = torch.cat((images.train, images.test)) * 255
    expected = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).reshape(12, -1)).float()
    torch.testing.assert_close(whole, expected)
    assert torch.cat((labels.train, labels.test)).tolist() == CLASSES.tolist()


def test_torchvisions_files_are_read_by_channel_row_and_column(published):
    check_twelve(data.load("cifar10"), data.load_labels("cifar10"))


def test_the_packed_file_is_read_without_writing_beside_it(published, folder, monkeypatch):
    packed = folder / cifar10.PUBLISHED.packed
    with tarfile.open(packed, "w:gz") as file:
        file.add(published, cifar10.PUBLISHED.folder)
    digest = hashlib.md5(packed.read_bytes()).hexdigest()
    monkeypatch.setattr(vision.datasets().CIFAR10, "tgz_md5", digest)
    shutil.rmtree(published)
    check_twelve(data.load("cifar10"), data.load_labels("cifar10"))
    assert list(folder.iterdir()) == [packed]


def test_a_damaged_file_is_named(published):
    (published / "data_batch_3").write_bytes(b"")
    with pytest.raises(ValueError, match=r"data_batch_3 must have MD5 .*delete it to fetch it"):
        data.load("cifar10")


def test_missing_files_are_named_with_the_remedy(folder, monkeypatch):
    def unreachable(*arguments, **keywords):
        raise URLError("no network")

    vision.datasets()
    name = "torchvision.datasets.cifar.download_and_extract_archive"
    monkeypatch.setattr(name, unreachable)
    for wanted in ("cifar10", "cifar10_subset"):
        with pytest.raises(FileNotFoundError, match=r"python.tar.gz.*no network.*") as error:
            data.load(wanted)
        assert "\n" not in str(error.value)
    assert list(folder.iterdir()) == []


def test_downloaded_files_stay_in_the_data_folder(published, folder, monkeypatch):
    kept = folder.parent / "elsewhere"
    published.rename(kept)

    def download(url, root, filename, md5):
        shutil.copytree(kept, f"{root}/{cifar10.PUBLISHED.folder}")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", download)
    check_twelve(data.load("cifar10"), data.load_labels("cifar10"))
    assert [path.name for path in folder.iterdir()] == [cifar10.PUBLISHED.folder]


def test_the_subset_is_the_beginning_of_the_published_images(published, folder, monkeypatch):
    monkeypatch.setattr(cifar10, "SUBSET_SIZES", {"train": 6, "test": 1})
    parts = {"train": slice(6), "test": slice(10, 11)}
    digests = {
        part: hashlib.sha256(IMAGES[rows].tobytes() + CLASSES[rows].tobytes()).hexdigest()
        for part, rows in parts.items()
    }
    monkeypatch.setattr(cifar10, "SUBSET_DIGESTS", digests)
    cut = data.load("cifar10_subset")
    path = folder / cifar10.SUBSET
    path.parent.mkdir()
    arrays = {f"{part}_images": IMAGES[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": CLASSES[rows] for part, rows in parts.items()}
    np.savez(path, **arrays)
    packed = data.load("cifar10_subset", dtype=torch.float64)
    assert torch.equal(packed.train.float(), cut.train)
    assert torch.equal(packed.test.float(), cut.test)
    np.savez(path, **{**arrays, "test_labels": CLASSES[1:2]})
    with pytest.raises(ValueError, match=r"exact_subset.npz must hold the published images"):
        data.fetch("cifar10_subset")


@pytest.mark.slow
def test_the_real_subset_is_exact_and_the_jpeg_files_are_not(real, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(real))
    exact, lossy = (data.load(f"cifar10_{kind}") for kind in ("subset", "jpeg"))
    exact_labels, lossy_labels = (
        data.load_labels(f"cifar10_{kind}") for kind in ("subset", "jpeg")
    )
    assert exact_labels.train[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]  # the published order
    for part in ("train", "test"):
        images, others = getattr(exact, part), getattr(lossy, part)[: len(getattr(exact, part))]
        assert (images - others).abs().mean() * 255 == pytest.approx(5.8, abs=0.1)
        same = getattr(lossy_labels, part)[: len(images)] == getattr(exact_labels, part)
        assert same.all()


def test_files_that_cannot_be_downloaded_say_what_to_use_instead(folder):
    message = (
        r"cifar10_jpeg_train.npz and .* cannot be downloaded; the original images are .* cifar10"
    )
    with pytest.raises(FileNotFoundError, match=message):
        data.fetch("cifar10_jpeg")


def test_jpeg_files_are_decoded_one_after_another(folder, monkeypatch):
    grey = [Image.new("RGB", (32, 32), (value, 0, 255 - value)) for value in (0, 80, 200)]
    contents = []
    for image in grey:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=95)
        contents.append(file.getvalue())
    joined = np.frombuffer(b"".join(contents), np.uint8)
    labels = np.array([3, 1, 4], np.uint8)
    offsets = np.cumsum([0, *map(len, contents)])
    digest = hashlib.sha256(joined.tobytes() + labels.tobytes()).hexdigest()
    monkeypatch.setattr(cifar10, "JPEG_DIGESTS", dict.fromkeys(cifar10.PARTS, digest))
    for path in cifar10.JPEG.values():
        (folder / path).parent.mkdir(exist_ok=True)
        np.savez(folder / path, jpeg_bytes=joined, offsets=offsets, labels=labels)
    images = data.load("cifar10_jpeg").train.view(3, 3, 32, 32) * 255
    expected = torch.tensor([[0.0, 0, 255], [80, 0, 175], [200, 0, 55]])
    assert (images.mean((2, 3)) - expected).abs().max() < 4
    assert data.load_labels("cifar10_jpeg").test.tolist() == [3, 1, 4]


# Labels, and examples that are no images.


def test_labels_are_split_as_examples_are():
    images, labels = data.load("digits", validation=30), data.load_labels("digits", validation=30)
    for part in ("train", "valid", "test"):
        assert len(getattr(labels, part)) == len(getattr(images, part))
    assert torch.equal(labels.valid, data.load_labels("digits").train[-30:])


def test_labels_of_a_set_with_validation_examples_of_its_own_are_its_first(monkeypatch):
    rows, classes = torch.zeros(4, 2), torch.tensor([0, 1, 1, 0])
    source = data.Source(
        "three", 4, 4, 2, 1, lambda root: (rows,) * 3, lambda root: None, valid=4, classes=2,
        labels=lambda root: (classes, 1 - classes, classes),
    )  # fmt: skip
    monkeypatch.setattr(data, "SOURCES", {"three": source})
    labels = data.load_labels("three", validation=2)
    assert labels.train.tolist() == labels.test.tolist() == classes.tolist()
    assert labels.valid.tolist() == [1, 0]


def test_labels_of_a_data_set_without_any_are_refused():
    with pytest.raises(ValueError, match="expected a data set with labels, got omniglot"):
        data.load_labels("omniglot")


def test_names_by_kind():
    assert {"digits", "mnist", "omniglot"} <= set(data.grey_names())
    assert not {"points", "cifar10", "cifar10_subset"} & set(data.grey_names())
    assert {"digits", "points", "cifar10", "cifar10_jpeg"} <= set(data.labelled_names())
    assert "omniglot" not in data.labelled_names()


def test_points_lie_where_their_classes_are():
    for part in ("train", "test"):
        points = getattr(data.load("points", dtype=torch.float64), part)
        labels = getattr(data.load_labels("points"), part)
        assert labels.bincount().tolist() == [len(points) // 2] * 2
        above, below = points[labels == 1], points[labels == 0]
        assert points[:, 0].abs().max() <= np.pi / 2
        assert above[:, 1].min() >= 0
        assert above[:, 1].max() <= 1
        assert below[:, 1].min() >= -1
        assert (below[:, 1] < below[:, 0].cos()).all()
        assert (above[:, 1] > above[:, 0].cos()).any()  # the classes overlap in part


def test_points_of_the_test_set_are_fresh():
    points = data.load("points")
    assert not (points.train[:, None] == points.test[None]).all(-1).any()


def test_values_that_are_no_images_are_not_binarised():
    with pytest.raises(ValueError, match="binarisation static needs grey values, got points"):
        data.load("points", binarisation="static")


def test_images_of_several_channels_are_no_grey_images():
    from raysweep.tasks.vae.categorical import CategoricalVaeSettings

    with pytest.raises(ValueError, match="must hold images of grey values, got cifar10"):
        CategoricalVaeSettings(dataset="cifar10")

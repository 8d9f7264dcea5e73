"""CIFAR-100 and ImageNet-16-120, from files in the published layout."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from raysweep.tasks import data
from raysweep.tasks.data import imagenet16, vision

RANDOM = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path))
    return tmp_path


def write(path, content):
    """Pickle something, and return the checksum of the file."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar100(folder, monkeypatch):
    """Twelve images, of which four are test images, whose checksums count as the published ones."""
    rows = RANDOM.integers(0, 256, (12, 3072), dtype=np.uint8)
    labels = [99, 0, 57, 3, 8, 15, 16, 23, 42, 4, 7, 1]
    cls, home = vision.datasets().CIFAR100, folder / "cifar-100-python"
    for name, part in {"train": slice(8), "test": slice(8, 12)}.items():
        content = {"data": rows[part], "fine_labels": labels[part], "coarse_labels": [0] * 12}
        monkeypatch.setattr(cls, f"{name}_list", [[name, write(home / name, content)]])
    md5 = write(home / "meta", {"fine_label_names": [str(number) for number in range(100)]})
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5})
    return rows, labels


def test_cifar_100_has_the_fine_classes(cifar100):
    rows, labels = cifar100
    images, classes = data.load("cifar100"), data.load_labels("cifar100")
    assert torch.equal(images.train, torch.from_numpy(rows[:8]).float() / 255)
    assert torch.equal(images.test, torch.from_numpy(rows[8:]).float() / 255)
    assert classes.train.tolist() + classes.test.tolist() == labels


def test_a_damaged_file_of_cifar_100_is_named(cifar100, folder):
    (folder / "cifar-100-python" / "test").write_bytes(b"")
    with pytest.raises(ValueError, match="cifar-100-python/test must have MD5"):
        data.load("cifar100")


@pytest.fixture
def small_imagenet(folder, monkeypatch):
    """Two images in each file, the first of a class of the task and the second of another."""
    files, images = {}, {}
    for part, names in imagenet16.FILES.items():
        files[part], images[part] = {}, []
        for number, name in enumerate(names):
            rows = RANDOM.integers(0, 256, (2, 768), dtype=np.uint8)
            content = {"data": rows, "labels": [120 - number, 121 + number]}
            files[part][name] = write(folder / imagenet16.FOLDER / name, content)
            images[part].append(rows[0])
    monkeypatch.setattr(imagenet16, "FILES", files)
    return {part: torch.from_numpy(np.stack(rows)) for part, rows in images.items()}


def test_imagenet_16_120_has_the_first_classes_alone(small_imagenet):
    images, classes = data.load("imagenet16"), data.load_labels("imagenet16")
    assert torch.equal(images.train, small_imagenet["train"].float() / 255)
    assert torch.equal(images.test, small_imagenet["test"].float() / 255)
    assert classes.train.tolist() == list(range(119, 109, -1))
    assert classes.test.tolist() == [119]


class Touch:
    """A pickle that creates a file where it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_foreign_file_is_refused_without_being_opened(small_imagenet, folder):
    write(folder / imagenet16.FOLDER / "val_data", Touch(folder / "opened"))
    with pytest.raises(ValueError, match=r"val_data must have MD5 .*; get it again"):
        data.load("imagenet16")
    assert not (folder / "opened").exists()


def test_missing_files_are_named_with_the_remedy(folder):
    with pytest.raises(FileNotFoundError, match=r"imagenet16 needs .*val_data in .*image-net\.org"):
        data.fetch("imagenet16")

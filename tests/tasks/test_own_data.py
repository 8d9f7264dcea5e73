"""Images of the user's own: `dataset: {npz: FILE}`, and data sets of installed packages."""

import shutil
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import raysweep
from raysweep.cli.main import cli
from raysweep.errors import SpecError
from raysweep.sweepfile.columns import column_types
from raysweep.sweepfile.reader import read_spec
from raysweep.tasks import data
from raysweep.tasks.data import npz
from raysweep.tasks.vae.categorical import CategoricalVaeSettings

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.integers(0, 256, (40, 4, 6), dtype=np.uint8)
TEST = RANDOM.integers(0, 256, (9, 4, 6), dtype=np.uint8)
SMALL = {"hidden": {"value": [8]}, "latents": 2, "categories": 2, "batch_size": 10, "steps": 4}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, with an empty data folder below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "data"))
    for cached in (npz.source, data.entries):
        cached.cache_clear()
    yield tmp_path
    for cached in (npz.source, data.entries):
        cached.cache_clear()


def saved(path, x_train=TRAIN, x_test=TEST, keys=("x_train", "x_test")):
    np.savez(path, **dict(zip(keys, (x_train, x_test), strict=True)))
    return path


def sweep(dataset, **more):
    return {
        "name": "own",
        "tasks": {"mine": {"task": "categorical_vae", "dataset": dataset, **SMALL}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
        **more,
    }


def run_ids(spec):
    (arm,) = spec.arms
    return [arm.configuration(cell).run_id(0) for cell in arm.cells()]


@pytest.mark.parametrize("keys", [("x_train", "x_test"), ("train", "test")])
@pytest.mark.parametrize("flat", [False, True])
def test_images_are_rows_of_grey_values(folder, keys, flat):
    train, test = (each.reshape(len(each), -1) if flat else each for each in (TRAIN, TEST))
    images = data.load(npz.use(str(saved(folder / "a.npz", train, test, keys))))
    assert (images.train.shape, images.test.shape) == ((40, 24), (9, 24))
    assert torch.equal(images.train, torch.from_numpy(TRAIN.reshape(40, 24)).float() / 255)
    assert len(images.valid) == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_are_taken_as_they_are(folder, dtype):
    train, test = (np.linspace(0, 1, 20).reshape(5, 4).astype(dtype), np.zeros((2, 4), dtype))
    images = data.load(npz.use(str(saved(folder / "a.npz", train, test))), dtype=torch.float64)
    assert np.array_equal(images.train.numpy(), train.astype("float64"))


def test_a_sweep_trains_on_the_file_and_keeps_a_copy(executor, folder):
    saved(folder / "a.npz")
    results = raysweep.run(sweep({"npz": "a.npz"}), store=folder / "sweeps", **executor)
    (row,) = results.runs().to_pylist()
    assert row["status"] == "done"
    assert row["param.task.dataset"] == npz.use("a.npz")
    digest = row["param.task.dataset"].removeprefix("npz:")
    copy = folder / "data" / "npz" / f"{digest}.npz"
    assert copy.read_bytes() == (folder / "a.npz").read_bytes()
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_the_digest_is_part_of_a_run_and_the_path_is_not(folder):
    saved(folder / "a.npz")
    (folder / "below").mkdir()
    shutil.copy(folder / "a.npz", folder / "below" / "b.npz")
    saved(folder / "c.npz", x_test=TRAIN)
    one, same, other = (
        run_ids(read_spec(sweep({"npz": path})))
        for path in ("a.npz", folder / "below" / "b.npz", "c.npz")
    )
    assert one == same
    assert one != other


def test_a_file_that_moved_is_no_other_sweep(folder):
    saved(folder / "a.npz")
    store = folder / "sweeps"
    raysweep.run(sweep({"npz": "a.npz"}), store=store, inline=True)
    (folder / "a.npz").rename(folder / "b.npz")
    results = raysweep.run(sweep({"npz": "b.npz"}, seeds=2), store=store, inline=True)
    assert results.runs()["seed"].to_pylist() == [0, 1]
    assert len(set(results.runs()["pack_id"].to_pylist())) == 2


def test_a_copy_in_the_data_folder_is_enough(folder):
    name = npz.use(str(saved(folder / "a.npz")))
    data.fetch(name)
    (folder / "a.npz").unlink()
    npz.source.cache_clear()
    assert len(data.load(name).train) == 40
    assert read_spec(sweep(name)).arms


def test_choices_conditions_and_overrides_take_the_form(folder):
    for name, test in (("a", TEST), ("b", TRAIN)):
        saved(folder / f"{name}.npz", x_test=test)
    choice = read_spec(sweep(["digits", {"npz": "a.npz"}, {"value": {"npz": "b.npz"}}]))
    assert len(set(run_ids(choice))) == 3
    when = {"when": {"dataset": {"npz": "a.npz"}}, "choices": [0.1, 0.2]}
    conditional = read_spec(sweep(["digits", {"npz": "a.npz"}], training={"lr": when}))
    assert len(run_ids(conditional)) == 3
    override = [{"dataset": {"npz": "a.npz"}}]
    assert run_ids(read_spec(sweep("digits", overrides=override))) == run_ids(
        read_spec(sweep({"npz": "a.npz"}))
    )


def test_settings_know_the_number_of_images(folder):
    name = npz.use(str(saved(folder / "a.npz")))
    assert CategoricalVaeSettings(dataset=name, validation_examples=9).training_examples == 31
    with pytest.raises(ValueError, match=r"validation_examples must be in 0..39"):
        CategoricalVaeSettings(dataset=name, validation_examples=40)


def save_one(path, array):
    with path.open("wb") as file:
        np.save(file, array)


MISTAKES = {
    "no file": (lambda path: None, r"a.npz: no such file"),
    "text": (lambda path: path.write_text("hello"), "expected an .npz file of arrays: "),
    "one array": (lambda path: save_one(path, TRAIN), "it has one array without a name"),
    "names": (
        lambda path: saved(path, keys=("images", "labels")),
        "expected the arrays x_train and x_test or train and test, got images, labels",
    ),
    "objects": (lambda path: saved(path, np.array([{}, {}])), "expected an .npz file of arrays: "),
    "shape": (lambda path: saved(path, TRAIN[..., None]), r"got \[40, 4, 6, 1\]"),
    "empty": (lambda path: saved(path, TRAIN[:0]), r"x_train: expected the shape .*\[0, 4, 6\]"),
    "integers": (lambda path: saved(path, TRAIN.astype(int)), "expected uint8, or .*, got int64"),
    "range": (lambda path: saved(path, TRAIN / 100), "expected floats from 0 to 1, .* from 0 to 2"),
    "nan": (lambda path: saved(path, TRAIN * np.nan), "expected floats .* from nan to nan"),
    "sizes": (
        lambda path: saved(path, x_test=TEST[:, :3]),
        r"one type and size of image, got uint8 \[40, 4, 6\] and uint8 \[9, 3, 6\]",
    ),
    "types": (lambda path: saved(path, x_test=TEST / 255), "one type and size .* and float64"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_position(folder, mistake):
    write, message = MISTAKES[mistake]
    write(folder / "a.npz")
    with pytest.raises(SpecError, match=message) as caught:
        read_spec(sweep({"npz": "a.npz"}))
    (line,) = caught.value.problems
    assert line.startswith("sweep: line ")
    assert "\n" not in line


def test_a_path_that_is_no_text_is_refused(folder):
    with pytest.raises(SpecError, match=r"dataset: expected \{npz: FILE\}, got 3 as the file"):
        read_spec(sweep({"npz": 3}))


def test_an_unknown_name_is_refused_with_the_nearest():
    wanted = r"line \d+: dataset: expected a known name, got 'digit'; did you mean 'digits'\?"
    with pytest.raises(SpecError, match=wanted):
        read_spec(sweep("digit"))


def test_a_missing_file_says_what_to_do(folder):
    with pytest.raises(SpecError, match=r"dataset npz:0123 needs .*0123.npz, which is not there"):
        read_spec(sweep("npz:0123"))


def test_a_file_that_changed_is_not_trained_on(folder):
    spec = read_spec(sweep({"npz": str(saved(folder / "a.npz"))}))
    name = spec.arms[0].configuration({}).settings["task.dataset"]
    data.fetch(name)
    (folder / "data" / "npz" / f"{name.removeprefix('npz:')}.npz").write_bytes(b"")
    npz.source.cache_clear()
    with pytest.raises(ValueError, match="has changed since its digest"):
        data.load(name)


def test_a_file_that_changed_before_it_was_copied_leaves_no_copy(folder):
    name = npz.use(str(saved(folder / "a.npz")))
    saved(folder / "a.npz", x_test=TRAIN)
    with pytest.raises(ValueError, match=r"a.npz has changed since its digest .*; restore it"):
        data.fetch(name)
    assert not (folder / "data").exists()


# Data sets of installed packages.

MODULE = """
import torch
from raysweep.tasks.data import Source
def read(root):
    return torch.zeros(20, 16), torch.ones(5, 16)
def make():
    return Source("stripes", 20, 5, 16, 1, read, lambda root: None)
STRIPES = make()
WRONG = 3
"""
POINTS = """[raysweep.datasets]
stripes = stripes_plugin:STRIPES
made = stripes_plugin:make
wrong = stripes_plugin:WRONG
torn = nowhere_at_all:STRIPES
"""


@pytest.fixture
def package(folder, monkeypatch):
    """An installed package with data sets, one of which cannot be imported."""
    info = folder / "stripes-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stripes\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(POINTS)
    (folder / "stripes_plugin.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "stripes_plugin", raising=False)


@pytest.mark.parametrize("name", ["stripes", "made"])
def test_a_data_set_of_a_package_is_used_by_its_name(package, name):
    assert data.names()[-4:] == ["made", "stripes", "torn", "wrong"]
    assert data.load(name).test.mean() == 1
    results = raysweep.run(sweep(name), store="sweeps", inline=True)
    assert results.runs()["param.task.dataset"].to_pylist() == [name]
    assert results.runs()["status"].to_pylist() == ["done"]


def test_a_broken_data_set_is_one_line(package):
    wanted = r"dataset 'torn': the plug-in nowhere_at_all:STRIPES of stripes 0.3 cannot be loaded"
    with pytest.raises(SpecError, match=wanted):
        read_spec(sweep("torn"))
    with pytest.raises(SpecError, match=r"'wrong' must be a raysweep.tasks.data.Source, or"):
        read_spec(sweep("wrong"))
    assert read_spec(sweep("stripes")).arms


def test_the_list_of_names_has_data_sets_and_the_broken_ones(package):
    result = CliRunner().invoke(cli, ["info"], standalone_mode=False)
    listed = result.output.partition("data sets: ")[2].partition("\n")[0].split(", ")
    assert {"digits", "mnist", "stripes", "made"} <= set(listed)
    assert "torn" not in listed
    assert "dataset 'torn': the plug-in" in result.output.partition("cannot be used")[2]


def test_the_column_of_the_data_set_is_text_as_before():
    spec = read_spec(sweep("digits"))
    assert column_types(spec.arms)["task.dataset"] == "string"

"""Sweeps as Python mappings, with what notebooks have in them."""

from pathlib import Path

import numpy as np
import pytest

from raysweep.errors import SpecError
from raysweep.sweep.space import Choice, Fixed
from raysweep.sweepfile.reader import read_spec


def spec_of(**keys):
    base = {
        "name": "mapping",
        "tasks": {"walk": {"task": "toy"}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
    }
    return read_spec({**base, **keys})


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        (np.float64(0.1), Fixed(0.1)),
        (np.float32(0.1), Fixed(0.1)),
        (np.array([0.1, 0.2]), Choice((0.1, 0.2))),
        (np.array([0.1, 0.2], np.float32), Choice((0.1, 0.2))),
        (np.array(0.5), Fixed(0.5)),
        ((0.1, 0.2), Choice((0.1, 0.2))),
        (list(np.logspace(-3, -1, 3)), Choice((0.001, 0.01, 0.1))),
        (range(1, 4), Choice((1.0, 2.0, 3.0))),
        (1e-5, Fixed(1e-5)),
        (1e16, Fixed(1e16)),
    ],
)
def test_numbers_and_arrays_of_python_are_taken(given, domain):
    assert spec_of(training={"lr": given}).arms[0].space["training.lr"] == domain


def test_seeds_may_be_a_range_or_a_number_of_numpy():
    assert spec_of(seeds=range(2, 4)).seeds == (2, 3)
    assert spec_of(seeds=np.int64(2)).seeds == (0, 1)


def test_a_path_is_text():
    spec = spec_of(tasks={"walk": {"task": "toy", "trouble": Path("a/b")}})
    assert spec.arms[0].space["task.trouble"] == Fixed("a/b")


def test_a_number_may_be_a_label():
    assert spec_of(estimators={1: {"estimator": "straight_through"}}).estimator_labels == ("1",)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"training": {"lr": {0.1, 0.2}}}, "sweep: training.lr: expected .*got a set; sort it"),
        ({"training": {"lr": float("nan")}}, "sweep: training.lr: expected a finite number"),
        ({"training": {"lr": object()}}, "sweep: training.lr: expected text, .*got an object"),
        ({"training": {None: 1}}, "sweep: training: expected text as a key, got None"),
    ],
)
def test_other_values_are_refused_with_their_key(keys, message):
    with pytest.raises(SpecError, match=message):
        spec_of(**keys)


@pytest.mark.parametrize("letters", [100, 127, 200])
def test_a_label_of_several_words_may_be_longer_than_a_line(letters):
    label = ("word " * 40)[:letters].strip()
    assert spec_of(tasks={label: {"task": "toy"}}).arms[0].task_label == label


def test_a_changed_sweep_may_have_a_label_longer_than_a_line(tmp_path):
    label = ("word " * 20).strip()
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"name: long\ntasks: {{{label}: {{task: toy}}}}\n"
        "estimators: {ST: {estimator: straight_through}}\nseeds: 1\n"
    )
    assert read_spec(path, ["seeds=2"]).seeds == (0, 1)

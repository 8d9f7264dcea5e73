"""The section `tracker`: names, what each writes to, and its mistakes."""

import copy
import re

import pytest

from raysweep.errors import SpecError
from raysweep.store import spec_file
from raysweep.store.files import Files
from raysweep.sweep.spec import Spec
from raysweep.sweepfile.reader import read_spec

SWEEP = {
    "name": "small",
    "tasks": {"quad": {"task": "polynomial", "latents": 8}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 2,
}


def read(tracker):
    return read_spec({**copy.deepcopy(SWEEP), "tracker": tracker})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ("tensorboard", {"tensorboard": None}),
        ({"tensorboard": "logs"}, {"tensorboard": "logs"}),
        ({"wandb": "lab/walks", "mlflow": None}, {"wandb": "lab/walks", "mlflow": None}),
        ({"mlflow": "http://tracking:5000"}, {"mlflow": "http://tracking:5000"}),
    ],
)
def test_a_tracker_is_a_name_or_names_with_what_they_write_to(given, expected):
    assert read(given).trackers == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tensorbord", "expected a tracker, got 'tensorbord'; did you mean 'tensorboard'?"),
        ("tb", "did you mean 'tensorboard'?"),
        ({"wanb": "walks"}, "unknown key 'wanb' in tracker; did you mean 'wandb'?"),
        ({}, "expected tracker: NAME or {NAME: TARGET}, got {}"),
        (["wandb"], "expected a tracker, got ['wandb']"),
        ({"wandb": 3}, "expected a project of Weights & Biases, or entity/project, got 3"),
        ({"tensorboard": " "}, "expected a folder below which"),
        ({"mlflow": "http://me:secret@host"}, "without credentials, as the store keeps the file"),
    ],
)
def test_a_mistake_is_one_line(given, message):
    with pytest.raises(SpecError, match=re.escape(message)) as refused:
        read(given)
    assert len(refused.value.problems) == 1
    assert "secret" not in str(refused.value)


def test_a_tracker_is_in_no_identity():
    runs = [arm.definition for arm in read("tensorboard").arms]
    assert runs == [arm.definition for arm in read(None).arms]


def test_the_stored_spec_keeps_it(tmp_path):
    spec_file.write(Files(tmp_path), read({"tensorboard": "logs"}))
    assert spec_file.read(Files(tmp_path)).trackers == {"tensorboard": "logs"}


def test_a_spec_of_an_earlier_version_has_none():
    data = read("tensorboard").to_json()
    del data["trackers"]
    assert Spec.from_json(data).trackers == {}

"""Sweeps over stacked tasks, from the sweep file to the table."""

import pytest
from stacked_models import accuracy, make, smooth, vectors
from torch import nn

import raysweep
from raysweep.errors import SpecError

METRICS = {"train_loss": "min", "test_accuracy": "max"}


def classifier(*, hidden: int = 8) -> nn.Module:
    """A classifier."""
    return nn.Sequential(nn.Linear(12, hidden), nn.ReLU(), nn.Linear(hidden, 3))


def sweep(task, store, **sections):
    """Results of a sweep over a task, trained in this process."""
    file = {
        "name": "stacked",
        "tasks": {"vectors": {"task": task.name, "batch_size": 8, "steps": 10}},
        "methods": {"adam": {"lr": [0.01, 0.1], "smoothing": [0.0, 0.1]}},
        "seeds": 2,
        "select": {"metric": "test_accuracy", "mode": "max"},
        **sections,
    }
    return raysweep.run(file, store=store, inline=True, raises=True, tasks=[task])


def test_a_sweep_trains_rates_and_settings_of_the_loss_in_one_pack(tmp_path):
    task = make(classifier, vectors, smooth, accuracy, METRICS)
    runs = sweep(task, tmp_path).runs().to_pylist()
    assert [run["status"] for run in runs] == ["done"] * 8
    assert len({run["pack_id"] for run in runs}) == 1
    assert len({run["metric.train_loss"] for run in runs}) == 8
    assert all(0 <= run["metric.test_accuracy"] <= 1 for run in runs)


def test_a_mistake_is_reported_before_anything_starts(tmp_path):
    def drawing():
        return nn.Sequential(nn.Linear(12, 3), nn.Dropout(0.5))

    task = make(drawing, vectors, smooth, accuracy, METRICS)
    with pytest.raises(SpecError, match=r"drawing \(.*\): the module 1 \(Dropout\) draws random"):
        sweep(task, tmp_path)
    assert not list(tmp_path.glob("stacked/runs/*"))

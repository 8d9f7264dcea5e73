"""Runs of a sweep whose estimators change with the updates."""

import pytest
from engine_helpers import by_run
from test_engine_trouble import stopped_after

from raysweep.engine import work
from raysweep.store import checkpoints

COLUMNS = ["metric.train_loss", "metric.final_expected_loss"]


def annealed(**keys):
    """A sweep of schedules and a constant, in one pack."""
    temperature = {"from": [2.0, 1.0], "to": [0.1, 0.5, None], "over": "steps"}
    return {
        "name": "annealed",
        "tasks": {"quad": {"task": "polynomial", "latents": 6, "batch_size": 8}},
        "estimators": {"STGS": {"estimator": "st_gumbel_softmax", "temperature": temperature}},
        "training": {"lr": 0.05, "steps": 40, "report_every": 10},
        "seeds": 2,
        **keys,
    }


def test_runs_alone_are_the_runs_of_a_pack(inline):
    together = inline(annealed(), store="together")
    alone = inline(annealed(resources={"pack": 1}), store="alone")
    assert {row["replicas"] for row in together.runs().to_pylist()} == {12}
    ended = by_run(together, COLUMNS)
    for run_id, values in by_run(alone, COLUMNS).items():
        assert ended[run_id] == pytest.approx(values, rel=1e-6)


def test_a_pack_that_was_stopped_in_the_middle_ends_as_one_that_was_not(inline, monkeypatch):
    spec = annealed(training={"lr": 0.05, "steps": 2000, "report_every": 100})
    whole = by_run(inline(spec, store="whole"), COLUMNS)
    with monkeypatch.context() as patch:
        patch.setattr(work, "SLICE_S", 0.1)
        stopped_after(patch, 2)
        part = inline(spec)
    (manifest,) = checkpoints.in_flight(part.store.files)
    assert 0 < manifest.step < 2000
    assert by_run(inline(spec), COLUMNS) == whole


def test_the_values_of_a_schedule_are_columns_of_numbers(inline):
    rows = inline(annealed()).runs().to_pylist()
    key = "param.task.final_temperature"
    assert {row[key] for row in rows} == {0.1, 0.5, None}
    assert {row["param.estimator.temperature"] for row in rows} == {1.0, 2.0}

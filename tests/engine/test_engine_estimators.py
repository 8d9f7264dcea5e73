"""Every estimator in a sweep: on every task that takes it, with settings searched inside a pack."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

import raysweep
from raysweep import estimators

EXAMPLE = Path(__file__).parents[2] / "examples" / "estimators.yaml"
BINARY = ["arm", "disarm", "arms"]
OF_MEANS = {name for name in estimators.names() if estimators.find(name).target == "mean"}


def done(results):
    runs = results.runs()
    assert set(runs["status"].to_pylist()) == {"done"}, runs["error"].unique().to_pylist()
    return runs


def test_the_example_names_every_estimator_of_a_mean_and_runs(tmp_path):
    runs = done(raysweep.run(EXAMPLE, store=tmp_path, inline=True, smoke=True))
    assert set(runs["estimator_name"].to_pylist()) == OF_MEANS
    wide = runs.filter(pc.greater(runs["param.task.categories"], 2))
    assert set(wide["estimator_name"].to_pylist()) == OF_MEANS - {*BINARY, "exact"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_estimator_trains_binary_variables_with_its_settings_searched(tmp_path, dtype):
    def settings(name):
        own = {key: [1.0, 1.5] for key in sorted(estimators.find(name).per_replica)}
        return {"estimator": name, **own}

    spec = {
        "name": "all",
        "tasks": {"quadratic": {"task": "polynomial", "latents": 5, "batch_size": 16}},
        "estimators": {name: settings(name) for name in sorted(OF_MEANS)},
        "training": {"steps": 20, "dtype": dtype, "lr": 0.05},
        "seeds": 2,
    }
    runs = done(raysweep.run(spec, store=tmp_path, inline=True))
    losses = runs["metric.final_expected_loss"].to_pylist()
    assert all(0.2 < loss < 0.26 for loss in losses)


def test_a_binary_only_estimator_on_more_categories_is_refused_while_the_file_is_read(tmp_path):
    spec = {
        "name": "wide",
        "tasks": {"wide": {"task": "categorical_vae", "dataset": "digits", "categories": 3}},
        "estimators": {"DisARM": {"estimator": "disarm"}},
        "seeds": 1,
    }
    with pytest.raises(raysweep.SpecError, match="disarm needs 2 categories, got 3"):
        raysweep.run(spec, store=tmp_path, inline=True)

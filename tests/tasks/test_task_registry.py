import dataclasses
from importlib.metadata import EntryPoint

import pytest

from raysweep import estimators, registry, tasks
from raysweep.errors import SpecError


@pytest.fixture(params=tasks.names())
def task(request):
    return tasks.get(request.param)


def test_names_are_those_of_the_tasks():
    assert {"polynomial", "categorical_vae", "bernoulli_vae"} < set(tasks.names())
    assert all(tasks.get(name).name == name for name in tasks.names())


def test_unknown_task_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got polynomal; did you mean polynomial"):
        tasks.get("polynomal")


def test_unlike_name_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"must be one of polynomial, .*, got xyz$"):
        tasks.get("xyz")


def test_every_setting_says_what_it_means(task):
    for field in dataclasses.fields(task.settings):
        assert field.metadata["meaning"]
        assert isinstance(field.metadata["per_replica"], bool)


def test_every_task_reports_train_loss(task):
    assert "train_loss" in task.metrics
    assert all(metric.meaning for metric in task.metrics.values())


def test_default_settings_can_run(task):
    method = estimators.get("straight_through", family=task.family)
    assert task.check(task.settings(), method) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"lr": 0.0}, "lr must be positive, got 0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1"),
        ({"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs momentum > 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_out_of_range_are_refused(task, changes, message):
    with pytest.raises(ValueError, match=message):
        task.settings(**changes)


@pytest.mark.parametrize("name", ["polynomial", "categorical_vae"])
def test_a_task_without_latent_variables_is_refused(name):
    with pytest.raises(ValueError, match="latents must be at least 1, got 0"):
        tasks.get(name).settings(latents=0)


def test_a_task_that_reads_no_files_prepares_nothing(tmp_path):
    task = tasks.get("polynomial")
    assert task.prepare(task.settings(), tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_plug_in_that_is_no_subclass_of_task_is_refused(monkeypatch):
    entry = EntryPoint("odd", "builtins:object", "raysweep.tasks")
    monkeypatch.setattr(registry, "plugins", lambda group: {"odd": entry})
    with pytest.raises(SpecError, match=r"'odd' must be a subclass of .*Task, got builtins:object"):
        registry.task("odd")

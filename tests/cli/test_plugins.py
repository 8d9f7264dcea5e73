"""Plug-ins: a file loads those that it names; a broken one is one line that says whose it is."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from raysweep import registry
from raysweep.cli.main import cli
from raysweep.code.files import added
from raysweep.errors import SpecError
from raysweep.sweepfile.reader import read_spec

POINTS = """[raysweep.tasks]
torn = torn_plugin:Task
[raysweep.estimators]
odd = builtins:object
torn_method = torn_plugin:Method
[raysweep.estimators.layered]
odd_layers = builtins:object
whole = whole_plugin:MyLayeredEstimator
"""
SPEC = {
    "name": "plugins",
    "tasks": {"a": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 1,
}
WHOLE = (
    "task 'torn': the plug-in torn_plugin:Task of torn-things 2.5 cannot be loaded: "
    "ModuleNotFoundError: No module named 'not_there'; repair or uninstall it"
)


@pytest.fixture
def torn(tmp_path, monkeypatch):
    """An installed distribution whose module cannot be imported."""
    folder = tmp_path / "torn_things-2.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: torn-things\nVersion: 2.5\n")
    (folder / "entry_points.txt").write_text(POINTS)
    (tmp_path / "torn_plugin.py").write_text("import not_there\n")
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    (tmp_path / "whole_plugin.py").write_text(page.split("```python\n")[2].partition("```")[0])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry.plugins.cache_clear()
    yield
    monkeypatch.undo()
    registry.plugins.cache_clear()


def output(*words):
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


def test_a_file_that_names_no_broken_plugin_is_read(torn):
    assert read_spec(SPEC).arms


@pytest.mark.parametrize("kind", ["task", "estimator"])
def test_a_file_loads_no_plugin_that_it_does_not_name(torn, monkeypatch, kind):
    def refuse(*_):
        raise AssertionError("loaded")

    registry._stored_task.cache_clear()
    monkeypatch.setattr("importlib.metadata.EntryPoint.load", refuse)
    names = {"estimator": "straight_through", "task": "polynomial", kind: "nowhere"}
    tasks, estimators = {"a": {"task": names["task"]}}, {"b": {"estimator": names["estimator"]}}
    with pytest.raises(SpecError, match=f"unknown {kind} 'nowhere'"):
        read_spec({**SPEC, "tasks": tasks, "estimators": estimators})


def test_a_file_that_names_a_broken_plugin_is_refused_in_one_line(torn):
    with pytest.raises(SpecError) as caught:
        read_spec({**SPEC, "tasks": {"a": {"task": "torn"}}})
    assert caught.value.problems == [f"sweep: line 3: {WHOLE}"]


def test_a_broken_estimator_is_refused_too(torn):
    with pytest.raises(SpecError, match=r"estimator 'torn_method': the plug-in .* torn-things 2.5"):
        read_spec({**SPEC, "estimators": {"a": {"estimator": "torn_method"}}})


def test_an_estimator_that_is_no_subclass_is_refused(torn):
    with pytest.raises(SpecError, match=r"'odd' must be a subclass of .*Estimator, got builtins:"):
        read_spec({**SPEC, "estimators": {"a": {"estimator": "odd"}}})


def test_a_layered_estimator_that_is_no_subclass_is_refused(torn):
    tasks, odd = {"a": {"task": "sbn_gradient_quality"}}, {"a": {"estimator": "odd_layers"}}
    message = r"'odd_layers' must be a subclass of raysweep\.estimators\.layered\.LayeredEst.*, got"
    with pytest.raises(SpecError, match=message):
        read_spec({**SPEC, "tasks": tasks, "estimators": odd})


def test_a_layered_estimator_of_another_package_is_used(torn):
    tasks, whole = {"a": {"task": "sbn_gradient_quality"}}, {"a": {"estimator": "whole"}}
    assert read_spec({**SPEC, "tasks": tasks, "estimators": whole}).arms
    assert "estimator whole (layered)" in output("info", "whole")


def test_the_list_of_names_has_the_others_and_the_broken_ones(torn):
    text = output("info")
    assert f"\n  {WHOLE}\n" in text
    assert "torn_method" in text.partition("cannot be used")[2]
    assert "torn" not in text.partition("cannot be used")[0]
    assert all(name in text for name in ("polynomial", "toy", "reinmax", "tpe"))


@pytest.mark.parametrize("name", ["lr", "train_loss", "reinmax", "polynomial"])
def test_a_name_is_explained_beside_a_broken_plugin(torn, name):
    assert name in output("info", name)


def test_the_name_of_a_broken_plugin_is_explained_by_its_error(torn):
    result = CliRunner().invoke(cli, ["info", "torn"])
    assert str(result.exception) == WHOLE


def test_a_task_is_checked_beside_a_broken_estimator(torn):
    assert output("check", "polynomial", "--set", "latents=2").startswith("polynomial: alone")


def test_a_file_with_the_task_of_an_installed_package_is_said_to_be_left_out(torn, tmp_path):
    (tmp_path / "own_torn.py").write_text(
        "import raysweep\n@raysweep.task(metrics={'loss': 'min'})\ndef torn(run): ...\n"
    )
    with pytest.raises(SpecError) as caught, added([tmp_path / "own_torn.py"]):
        pass
    assert str(caught.value) == (
        "there is a task 'torn' already, of the installed torn-things 2.5; if it is the same, "
        "leave it out (raysweep run FILE finds it without --code); if not, give another name to "
        "the task of own_torn"
    )

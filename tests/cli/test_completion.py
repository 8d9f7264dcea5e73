"""The shell completes names of sweeps, labels, metrics, tasks and estimators."""

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from figure_helpers import spec_of, store_of

from raysweep import estimators, registry
from raysweep.cli.main import cli

SCRIPT = """
import sys
from click.shell_completion import ShellComplete
from raysweep.cli.main import cli
shell = ShellComplete(cli, {}, "raysweep", "_RAYSWEEP_COMPLETE")
arguments = ["table", "--store", sys.argv[1]]
print([item.value for item in shell.get_completions(arguments, "h")])
print([item.value for item in shell.get_completions([*arguments, "hand", "--tasks"], "")])
print(sorted({"torch", "ray", "optuna", "duckdb", "altair"} & set(sys.modules)))
"""
STATUS = ["status", "logs", "table", "stats", "top", "plot", "report", "sql", "export", "diff"]


def completed(*words):
    """The completions of a command line, whose last word is incomplete."""
    shell = ShellComplete(cli, {}, "raysweep", "_RAYSWEEP_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def store(hand, tmp_path, monkeypatch):
    """A store of the sweeps `hand` and `other`, named by the environment."""
    tasks, only = {"other one": {"task": "toy"}}, {"Mine": {"estimator": "straight_through"}}
    spec = spec_of(name="other", tasks=tasks, estimators=only)
    store_of(tmp_path, spec, ended=lambda *_: 1.0)
    (tmp_path / "no sweep").mkdir()
    monkeypatch.setenv("RAYSWEEP_STORE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("command", [*STATUS, "importance", "compact", "rm", "doctor"])
def test_names_of_sweeps_are_completed(store, command):
    assert completed(command, "") == ["hand", "other"]
    assert completed(command, "o") == ["other"]


def test_a_store_that_is_given_is_looked_at(store, monkeypatch):
    monkeypatch.delenv("RAYSWEEP_STORE")
    assert completed("status", "--store", str(store), "") == ["hand", "other"]


def test_a_sweep_that_is_given_is_not_repeated(store):
    assert completed("table", "hand", "") == ["other"]
    assert completed("diff", "other", "") == ["hand"]


@pytest.mark.parametrize("option", ["--rows", "--estimators", "--methods"])
def test_labels_of_estimators_are_completed(store, option):
    assert completed("table", "hand", option, "") == ["ST", "RF"]
    assert completed("plot", "hand", option, "R") == ["RF"]


@pytest.mark.parametrize("option", ["--columns", "--tasks"])
def test_labels_of_tasks_are_those_of_all_sweeps_given(store, option):
    assert completed("table", "hand", "other", option, "") == ["A", "B", "other one"]
    assert completed("stats", "other", option, "") == ["other one"]


@pytest.mark.parametrize("option", ["--select", "--report"])
def test_metrics_are_completed(store, option):
    assert completed("table", "hand", option, "") == ["train_loss", "distance"]


def test_the_latest_sweep_has_labels_too(store):
    assert completed("table", "--latest", "--tasks", "o") == ["other one"]


@pytest.mark.parametrize("words", [("status", ""), ("table", "gone", "--rows", ""), ("table", "")])
def test_without_a_store_there_are_no_completions(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert completed(*words) == []
    assert completed(words[0], "--latest", "--store", str(tmp_path), "x") == []


def test_names_to_explain_and_to_check_are_completed():
    assert completed("info", "reinf") == ["reinforce", "reinforce_loo"]
    assert "temperature" in completed("info", "temp")
    assert completed("check", "") == list(registry.task_names())
    assert "layered" in completed("info", "lay")


def test_estimators_to_check_are_those_of_the_tasks_family():
    layered = estimators.names("layered")
    assert completed("check", "toy", "--estimator", "") == sorted(estimators.names())
    assert completed("check", "sbn_gradient_quality", "--estimator", "") == sorted(layered)
    assert completed("check", "--estimator", "") == sorted({*estimators.names(), *layered})
    assert completed("check", "nowhere", "--estimator", "ps") == ["psa"]


def test_completion_imports_nothing_heavy(store):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(store)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['hand']", "['A', 'B']", "[]"]


@pytest.fixture
def served(stored, monkeypatch):
    """A service, named by the environment with a token."""
    monkeypatch.setenv("RAYSWEEP_TOKEN", stored.token("vera", "viewer"))
    monkeypatch.setenv("RAYSWEEP_SERVER", stored.url)
    return stored


@pytest.mark.parametrize("command", ["table", "rm", "cancel", "resume", "extend"])
def test_names_of_sweeps_of_a_service_are_completed(served, command):
    assert completed(command, "") == ["hand", "other", "search"]


def test_a_service_that_is_given_is_asked(served, monkeypatch):
    monkeypatch.delenv("RAYSWEEP_SERVER")
    assert completed("status", "--server", served.url, "h") == ["hand"]


def test_a_store_that_is_given_is_looked_at_instead_of_the_service(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert completed("status", "--store", str(tmp_path), "") == []
    assert completed("compact", "") == []


@pytest.mark.parametrize("token", ["", "raysweep_0_x"])
def test_a_service_that_refuses_has_no_completions(served, token, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_TOKEN", token)
    assert completed("table", "") == []


def test_a_service_that_is_gone_has_no_completions(served, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_SERVER", "http://127.0.0.1:1")
    assert completed("table", "") == []
    assert completed("table", "hand", "--rows", "") == []

"""Commands on tasks that take no estimator, and on files with methods."""

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from method_helpers import METHODS, TASKS, method_spec

from raysweep import registry
from raysweep.cli.main import cli
from raysweep.cli.plan_text import plan_text
from raysweep.driver import session
from raysweep.errors import SpecError
from raysweep.testing.tasks import check_task
from raysweep.testing.toy import ToyAlone, Walk


@pytest.fixture(autouse=True)
def alone():
    with registry.added([ToyAlone()]):
        yield


def said(*words):
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


def completed(*words):
    shell = ShellComplete(cli, {}, "raysweep", "_RAYSWEEP_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_a_task_without_an_estimator_is_explained():
    text = said("info", "toy_alone")
    assert "Estimators: none; in a sweep file the rows of the task are under methods." in text
    assert "family" not in text
    assert "toy_alone" in said("info")


def test_no_estimator_is_not_a_name_to_explain():
    assert "none" not in completed("info", "n")
    with pytest.raises(SpecError, match="no task, estimator, family, setting or metric 'none'"):
        CliRunner().invoke(cli, ["info", "none"], standalone_mode=False, catch_exceptions=False)


def test_a_task_without_an_estimator_is_checked():
    assert check_task("toy_alone") == []
    assert "all right" in said("check", "toy_alone")


def test_the_check_of_a_task_without_an_estimator_finds_faults(monkeypatch):
    monkeypatch.setattr(Walk, "select", lambda *_: None)
    problems = check_task("toy_alone")
    assert problems
    assert not any("estimator" in problem for problem in problems)


def test_settings_that_a_task_without_an_estimator_refuses_are_named():
    with pytest.raises(ValueError, match="toy_alone refuses these settings; expected a size of"):
        check_task("toy_alone", size=0)


def test_an_estimator_for_the_check_of_a_task_that_takes_none_is_refused():
    with pytest.raises(SpecError) as caught:
        check_task("toy_alone", "reinmax")
    assert str(caught.value) == "this task takes no estimator, got 'reinmax'; leave it out"


def test_the_shell_completes_no_estimator_of_a_task_that_takes_none():
    assert completed("check", "toy_alone", "--estimator", "") == []
    assert "reinmax" in completed("check", "toy", "--estimator", "")


def test_a_plan_has_no_column_of_estimators_where_there_are_none(tmp_path):
    text = plan_text(session.plan(method_spec(), tmp_path))
    assert "\nslow · A " in text
    assert "estimator" not in text
    assert "\npack              task       runs\n" in text


def test_a_plan_of_both_kinds_of_rows_has_a_dash_for_no_estimator(tmp_path):
    spec = method_spec(
        tasks={**TASKS, "C": {"task": "toy"}},
        methods=METHODS,
        estimators={"ST": {"estimator": "straight_through"}},
    )
    lines = plan_text(session.plan(spec, tmp_path)).splitlines()
    packs = {tuple(line.split()[1:3]) for line in lines if "toy" in line}
    assert packs == {("toy_alone", "–"), ("toy", "straight_through")}

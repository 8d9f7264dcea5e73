"""The line of an error's message: the innermost one of the user's code, wherever libraries are."""

import types
from pathlib import Path

import pytest
import torch

from raysweep.engine.errors_of_runs import line_of
from raysweep.estimators.none import NoEstimator
from raysweep.sweep.sources import is_library, source_digest
from raysweep.tasks.base import Replica
from raysweep.tasks.contract import BrokenContract
from raysweep.tasks.functions.task import task

LIBRARY = "def call(f):\n    f()\n\ndef fail():\n    raise ValueError('odd')\n"
USER = "\n\ndef use():\n    library.call(library.fail)\n"
SITE = "other/lib/python3.9/site-packages"


def reports_nothing(run):
    """A function that does not report the metric that it declares."""


@pytest.fixture
def raised(tmp_path):
    """The line of an error that a library of another environment raises, called from a file."""

    def names_of(path, text, **names):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        exec(compile(text, str(file), "exec"), names)
        return types.SimpleNamespace(**names)

    def line(path, own_code=()):
        library = names_of(f"{SITE}/library.py", LIBRARY)
        user = names_of(path, USER, library=library)
        with pytest.raises(ValueError, match="odd") as caught:
            user.use()
        return line_of(caught.value, [str(tmp_path / each) for each in own_code])

    return line


@pytest.mark.parametrize("path", ["mine/task.py", "other/task.py", "other/lib/task.py"])
def test_it_is_not_one_of_a_library_in_another_environment(raised, path):
    assert raised(path) == "ValueError: odd (task.py:4)"


@pytest.mark.parametrize("task", ["models/task.py", "models/deep/task.py"])
def test_it_may_be_in_the_tasks_package_that_is_installed_in_another_environment(raised, task):
    text = raised(f"{SITE}/models/net.py", [f"{SITE}/{task}"])
    assert text == "ValueError: odd (net.py:4)"


def test_a_file_beside_an_installed_task_of_one_file_is_a_library(raised):
    text = raised(f"{SITE}/another.py", [f"{SITE}/task.py"])
    assert text.startswith("ValueError: odd (test_users_line.py:")


def test_the_standard_library_and_installed_packages_are_libraries(tmp_path):
    for module in (types, pytest):
        assert is_library(Path(module.__file__))
    assert not is_library(tmp_path / "site_packages.py")


def test_modules_beside_a_task_in_another_site_packages_are_not_its_code(tmp_path, monkeypatch):
    site = tmp_path / SITE
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    (site / "lone_task.py").write_text("import lone_helper\n")
    (site / "lone_helper.py").write_text("x = 1\n")
    before = source_digest("lone_task")
    (site / "lone_helper.py").write_text("x = 1234\n")
    assert source_digest("lone_task") == before


def test_a_mistake_that_raysweep_finds_after_the_function_has_no_line_of_raysweep():
    made = task(metrics={"train_loss": "min"})(reports_nothing)
    training = made.start(
        made.settings(), [Replica("id", 0, {})], NoEstimator(), torch.device("cpu")
    )
    training.advance(training.length())
    with pytest.raises(BrokenContract) as caught:
        training.evaluate()
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # without this test
    text = line_of(error, [__file__], of_function=True)
    assert text.startswith("BrokenContract: reports_nothing (test_users_line.py:")
    assert text.endswith("report it, or remove it from metrics")


EXITS = {
    (): "SystemExit: the function called sys.exit(); to end a run early, break out of its loop "
    "(test_users_line.py:",
    (3,): "SystemExit: the function called sys.exit(3); to end a run early, break",
    ("no\ndata",): r"SystemExit: the function called sys.exit('no\ndata'); to end a run early, br",
}


@pytest.mark.parametrize("code", EXITS)
def test_a_function_that_exits_is_said_to(code):
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(*code)  # as sys.exit() does, unless a library has replaced it
    text = line_of(caught.value, [__file__], of_function=True)
    assert text.startswith(EXITS[code])
    assert "\n" not in text


def test_a_task_that_exits_is_said_to():
    with pytest.raises(SystemExit) as caught:
        raise SystemExit
    text = line_of(caught.value, [__file__])
    assert text.startswith("SystemExit: the task called sys.exit(); raise an error instead (test_")

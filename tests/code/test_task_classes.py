"""Subclasses of `Task` in files that the user names: which of them are tasks, and their runs."""

import textwrap

import pytest

import raysweep
from raysweep import registry
from raysweep.cli.main import main
from raysweep.code.files import added
from raysweep.driver import session
from raysweep.errors import SpecError

WALK = """
from raysweep.testing.toy import ToyAlone

class Walk(ToyAlone):
    name = "own_walk"
"""
HELPERS = """
import abc
from base_walk import Walk
from raysweep.tasks import Task
from raysweep.tasks.polynomial import Polynomial

class Helper(Walk):
    name = "helper"

    @abc.abstractmethod
    def far(self): ...

class Nameless(Task):
    version = 1

class Far(Helper):
    name = "own_far"

    def far(self):
        return 1
"""


@pytest.fixture
def names_of(tmp_path):
    """The names of the tasks of a file with this text."""

    def call(text, name="own_tasks.py"):
        (tmp_path / "base_walk.py").write_text(WALK)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
        path = tmp_path / name
        with added([path.parent if path.name == "__init__.py" else path]) as code:
            return [task.name for task in code.tasks]

    return call


def test_a_class_of_a_file_trains_under_every_executor(tmp_path, executor):
    (tmp_path / "base_walk.py").write_text(WALK)
    (tmp_path / "own_tasks.py").write_text(HELPERS)
    with added([tmp_path / "own_tasks.py"]) as code:
        spec = session.load(
            {"name": "far", "tasks": {"w": {"task": "own_far"}}, "methods": {"A": {}}, "seeds": 2}
        )
        session.drive(
            spec, store=tmp_path, data=None, address=None, progress=None, code=code, **executor
        )
    assert raysweep.open(tmp_path, "far").runs()["status"].to_pylist() == ["done"] * 2


def test_imported_abstract_and_nameless_classes_are_no_tasks(names_of):
    assert names_of(HELPERS) == ["own_far"]


def test_a_class_with_two_names_is_one_task(names_of):
    assert names_of(f"{WALK}\nAlias = Walk\n") == ["own_walk"]


def test_an_object_of_a_class_without_arguments_is_the_same_task(names_of):
    assert names_of(f"{WALK}\ntask = Walk()\n") == ["own_walk"]


def test_objects_of_a_class_with_arguments_are_tasks_and_the_class_is_none(names_of):
    text = f"""{WALK}
class Named(Walk):
    def __init__(self, name):
        self.name = name

near, far = Named("own_near"), Named("own_far")
"""
    assert names_of(text) == ["own_walk", "own_near", "own_far"]


def test_a_package_may_have_its_classes_in_modules_of_its_own(names_of, tmp_path):
    (tmp_path / "own_pack").mkdir()
    (tmp_path / "own_pack" / "walks.py").write_text(WALK)
    assert names_of("from own_pack.walks import Walk\n", "own_pack/__init__.py") == ["own_walk"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("name = 'a'", "no task in own_tasks.py: the class A has no check, replica_bytes, start"),
        ("version = 1", "no task in own_tasks.py: the class A has no name, check, replica_bytes"),
    ],
)
def test_an_unfinished_class_is_named_with_what_it_lacks(names_of, body, message):
    with pytest.raises(SpecError, match=message):
        names_of(f"from raysweep.tasks import Task\nclass A(Task):\n    {body}\n")


def test_a_class_that_needs_arguments_is_named_with_them(names_of):
    text = WALK + "    def __init__(self, size): ...\n"
    with pytest.raises(SpecError, match=r"the class Walk cannot be called without size$"):
        names_of(text)


def test_a_class_that_fails_when_it_is_called_is_named_in_one_line(names_of):
    text = WALK + "    def __init__(self):\n        raise RuntimeError('no data here')\n"
    with pytest.raises(SpecError, match=r"own_tasks.py: .*RuntimeError: no data here \(own_tas"):
        names_of(text)


def test_check_takes_a_class_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_walk.py").write_text(WALK)
    with pytest.raises(SystemExit) as ended:
        main(["check", "own_walk", "--code", "own_walk.py"])
    assert (ended.value.code, capsys.readouterr().err) == (0, "")
    assert "own_walk" not in registry.task_names()

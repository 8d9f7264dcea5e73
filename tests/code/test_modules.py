"""Which modules of the user are sent to workers."""

import importlib.metadata
import sys

import pytest

from raysweep.code.modules import with_neighbours


@pytest.fixture
def neighbour(tmp_path, monkeypatch):
    """The name of an imported module that no distribution has."""
    (tmp_path / "neighbouring_task.py").write_text("RATE = 0.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "neighbouring_task", __import__("neighbouring_task"))
    return "neighbouring_task"


def test_a_module_that_is_not_installed_is_sent(neighbour):
    assert [module.name for module in with_neighbours([neighbour])] == [neighbour]


def test_an_installed_module_is_not_sent(monkeypatch, neighbour):
    installed = {neighbour: ["distribution"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: installed)
    assert with_neighbours([neighbour]) == ()


def test_without_code_of_the_user_no_list_of_distributions_is_read(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "packages_distributions", None)
    assert with_neighbours([]) == ()

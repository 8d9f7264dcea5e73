"""Faster imports of large packages."""

import gc
import sys

import pytest

from raysweep.imports import without_collection


@pytest.fixture
def fresh(monkeypatch):
    """A process without torch, as far as it looks."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.usefixtures("fresh")
def test_no_garbage_is_collected_while_modules_are_imported():
    with without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.usefixtures("fresh")
def test_what_was_imported_is_not_visited_again():
    before = gc.get_freeze_count()
    with without_collection():
        pass
    assert gc.get_freeze_count() > before


@pytest.mark.usefixtures("fresh")
def test_the_collector_runs_again_after_an_import_that_fails():
    with pytest.raises(ImportError), without_collection():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.usefixtures("fresh")
def test_a_process_that_collects_no_garbage_stays_so():
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_nothing_is_frozen_where_torch_is_imported_already(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    new = [[] for _ in range(1000)]
    before = gc.get_freeze_count()
    with without_collection():
        assert gc.isenabled()
    # less if something that an earlier test froze ends meanwhile
    assert gc.get_freeze_count() < before + len(new)

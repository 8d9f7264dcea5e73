"""What is removed stays gone, whatever else was cut off, and nothing else goes."""

import pytest
from store_helpers import aged, cut_merge, fill, ids

from raysweep.store import compaction, removal


@pytest.fixture
def store(tmp_path):
    """A store of six runs."""
    return fill(tmp_path)


def cut_removal(store, run_ids):
    """Writes down what is to go, and removes none of it."""
    plan = removal.Removal(frozenset(run_ids))
    store.files.write_table(removal.PLAN, removal._table(plan))


@pytest.mark.parametrize("changes", [2, 4, 8])
def test_a_merge_that_was_cut_off_brings_no_removed_run_back(store, changes):
    gone, other, *left = ids(store)
    cut_removal(store, [gone])
    cut_merge(store, changes)
    removal.remove_runs(store, [other])
    compaction.end(store.files)
    assert ids(store) == left


def test_a_compaction_first_ends_a_removal(store):
    gone, *left = ids(store)
    cut_removal(store, [gone])
    aged(store)
    assert store.compact() == (5, 1)
    assert ids(store) == left
    assert not store.files.exists(removal.PLAN)

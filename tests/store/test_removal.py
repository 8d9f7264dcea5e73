"""What is removed stays gone, whatever else was cut off, and nothing else goes."""

import pytest
from store_helpers import aged, cut_merge, fill, ids

from raysweep.store import compaction, removal
from raysweep.store.checkpoints import Checkpoints, Manifest
from raysweep.store.decisions import Decisions
from raysweep.sweep.early_stopping import Decision
from raysweep.sweep.packs import PlannedRun, make_pack


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
    store.remove_runs([other])
    compaction.end(store.files)
    assert ids(store) == left


def test_a_compaction_first_ends_a_removal(store):
    gone, *left = ids(store)
    cut_removal(store, [gone])
    aged(store)
    assert store.compact() == (5, 1)
    assert ids(store) == left
    assert not store.files.exists(removal.PLAN)


def test_decisions_of_configurations_in_flight_alone_go_with_their_pack(store):
    ended = store.runs()["configuration_id"][0].as_py()
    ids_in_flight = {"a" * 16: "b" * 16, "c" * 16: ended}
    planned = [PlannedRun(run, own, 0, "t", "e", {}) for run, own in ids_in_flight.items()]
    pack = make_pack("toy", "straight_through", planned)
    manifest = Manifest(pack, 0, tuple(ids_in_flight), (), 0, 0.0, "2026-01-01")
    Checkpoints(store.files, pack.pack_id).write(manifest, None)
    judged = [Decision(own, 5, 1.0, False, False) for own in ids_in_flight.values()]
    Decisions(store.files).write(judged, "train_loss")
    store.remove_runs([], [pack.pack_id])
    (name,) = store.files.names("decisions")
    assert store.files.read_table(name)["configuration_id"].to_pylist() == [ended]

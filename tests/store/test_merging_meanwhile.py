"""Rows are merged while a session trains, and nothing of it can harm the session."""

import dataclasses
import time

import pytest
from store_helpers import fill, ids

from raysweep.driver.merging import Pace, merging
from raysweep.errors import LeaseLost, StoreError
from raysweep.store import compaction

SOON = Pace(look_s=0.01, files=4, files_at_end=2, grace_s=0.0)


@dataclasses.dataclass(frozen=True)
class Training:
    """A pack that trains, by the name of its rows."""

    rows_name: str


@dataclasses.dataclass
class Schedule:
    in_flight: dict[str, Training] = dataclasses.field(default_factory=dict)
    files_to_come: frozenset[str] = frozenset()


def files_of(store):
    return store.files.names("runs", ".parquet")


def wait(holds, seconds=20.0):
    """Wait until something holds, and return whether it does."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def never_mind():
    """The lease is held."""


def test_files_of_ended_packs_are_merged_while_others_train(tmp_path):
    store = fill(tmp_path)
    before = ids(store)
    with merging(store.files, Schedule(), never_mind, SOON):
        assert wait(lambda: len(files_of(store)) == 1)
    assert ids(store) == before


def test_a_few_files_stay_until_the_end(tmp_path):
    store = fill(tmp_path)
    with merging(store.files, Schedule(), never_mind, dataclasses.replace(SOON, files=7)) as rows:
        time.sleep(0.2)
        assert len(files_of(store)) == 6
    rows.finish()
    assert len(files_of(store)) == 1


def test_a_file_that_a_pack_in_flight_will_write_again_stays(tmp_path):
    store = fill(tmp_path)
    run_id = ids(store)[0]
    schedule = Schedule({"pack": Training(run_id)})
    with merging(store.files, schedule, never_mind, SOON):
        assert wait(lambda: len(files_of(store)) == 2)
    assert f"runs/{run_id}.parquet" in files_of(store)


@pytest.mark.parametrize("checks", range(1, 12))
def test_a_lost_lease_ends_it_before_the_next_change(tmp_path, checks):
    store = fill(tmp_path)
    before, seen = ids(store), []

    def check():
        seen.append(files_of(store))
        if len(seen) == checks:
            raise LeaseLost("another driver")

    with merging(store.files, Schedule(), check, SOON):
        assert wait(lambda: len(seen) == checks)
        time.sleep(0.1)
        assert files_of(store) == seen[-1]
    assert ids(store) == before


@pytest.mark.parametrize("checks", range(1, 12))
def test_a_merge_that_the_end_of_the_session_cuts_off_is_completed_after_it(tmp_path, checks):
    store = fill(tmp_path)
    before, seen = ids(store), []

    def check():
        seen.append(files_of(store))
        if len(seen) == checks:
            time.sleep(0.5)  # in which the session ends

    with merging(store.files, Schedule(), check, SOON) as rows:
        assert wait(lambda: len(seen) == checks)
    assert ids(store) == before
    rows.finish()
    assert len(files_of(store)) == 1
    assert compaction.under_way(store.files) is None
    assert ids(store) == before


def test_trouble_with_the_store_is_said_once_and_ends_nothing(tmp_path, caplog):
    store = fill(tmp_path)
    tries = []

    def check():
        tries.append(1)
        raise StoreError("the disk is full")

    with merging(store.files, Schedule(), check, SOON):
        assert wait(lambda: len(tries) > 3)
    lines = [record.message for record in caplog.records]
    assert lines == ["files of rows were not merged: the disk is full; the sweep continues"]


def test_rows_of_a_short_session_stay_as_a_late_worker_might_write_them_again(tmp_path):
    store = fill(tmp_path)
    for name in files_of(store):
        store.files.write_table(name, store.files.read_table(name))  # now
    with merging(store.files, Schedule(), never_mind, SOON) as rows:
        time.sleep(0.1)
    rows.finish()
    assert len(files_of(store)) == 6


def test_a_command_that_has_listed_files_reads_them_during_the_grace(tmp_path):
    store = fill(tmp_path)
    listed = store.dataset("runs")
    before = ids(store)
    pace = dataclasses.replace(SOON, grace_s=0.5)
    with merging(store.files, Schedule(), never_mind, pace):
        assert wait(lambda: store.files.exists(compaction.PLAN))
        assert sorted(store.read(listed, ["run_id"])["run_id"].to_pylist()) == before
        while_planned = store.dataset("runs")
        assert wait(lambda: len(files_of(store)) == 1)
        assert sorted(store.read(while_planned, ["run_id"])["run_id"].to_pylist()) == before
        assert wait(lambda: not store.files.names("merging"))
    assert ids(store) == before

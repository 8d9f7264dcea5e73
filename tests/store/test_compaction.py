"""Small files of rows become one, and no moment shows a row twice or not at all."""

import collections
import functools
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_helpers import SPEC, aged, fill, ids, row

from raysweep.api import Results
from raysweep.cli.main import main
from raysweep.errors import StoreError
from raysweep.store import compaction, schema
from raysweep.store.files import Files
from raysweep.store.lease import Lease
from raysweep.sweep.runs import Run


@pytest.fixture
def filled(tmp_path):
    """A store with a file for each of six runs."""
    return functools.partial(fill, tmp_path)


def globbed(store):
    """What any other tool sees."""
    found = collections.Counter()
    for path in Path(store.files.path("runs")).glob("*.parquet"):
        found.update(pq.read_table(path)["run_id"].to_pylist())
    return found


def test_many_files_become_one_with_the_same_rows(filled):
    store = filled()
    before = store.runs().sort_by("run_id")
    assert store.compact() == (6, 1)
    assert store.runs().sort_by("run_id").equals(before)
    assert store.files.folders() == ["runs"]


@pytest.mark.parametrize("changes", range(12))
def test_a_reader_sees_each_row_once_wherever_a_merge_is_cut_off(filled, changes):
    store = filled()
    before, steps = ids(store), compaction.merges(store.files)
    for _ in range(changes):
        next(steps, None)
    assert ids(store) == before
    assert max(globbed(store).values(), default=0) <= 1


@pytest.mark.parametrize("changes", range(3, 12))  # the third puts down what is under way
def test_a_merge_that_ends_while_files_are_listed_hides_no_row(filled, changes):
    store = filled()
    steps = compaction.merges(store.files)
    for _ in range(changes):
        next(steps, None)

    class Slow(Files):
        def names(self, folder, suffix=""):
            listed = super().names(folder, suffix)
            list(steps)
            return listed

    named = compaction.names_of_rows(Slow(store.files.uri))
    assert len(named) == 1
    assert store.files.read_table(named[0]).num_rows == 6


def test_a_file_that_went_away_is_told_as_such(filled):
    store = filled()
    listed = store.dataset("runs")
    store.compact()
    with pytest.raises(StoreError, match=r"removed while reading.*run the same command again"):
        store.read(listed)


@pytest.mark.parametrize("changes", range(12))
def test_the_next_driver_ends_what_was_cut_off(filled, changes):
    store = filled()
    before, steps = ids(store), compaction.merges(store.files)
    for _ in range(changes):
        next(steps, None)
    store.prepare(SPEC)
    assert sorted(globbed(store).elements()) == before
    assert compaction.under_way(store.files) is None
    assert not store.files.names("merging")


def test_a_second_merge_changes_nothing(filled):
    store = filled()
    store.compact()
    aged(store)
    assert store.compact() == (1, 1)


def test_failed_runs_keep_their_files_which_their_next_attempt_replaces(filled):
    store = filled(lambda run: "failed" if run.seed == 0 else "done")
    assert store.compact() == (6, 3)
    failed = [row["run_id"] for row in store.runs().to_pylist() if row["status"] == "failed"]
    assert all(store.files.exists(f"runs/{run_id}.parquet") for run_id in failed)


def test_files_that_a_late_worker_might_write_again_stay(filled):
    store = filled()
    aged(store, seconds=compaction.SETTLED_S / 2)
    assert store.compact() == (6, 6)


def test_what_is_written_afterwards_is_merged_the_next_time(filled):
    store = filled()
    store.compact()
    (arm,) = SPEC.arms
    run = Run(arm.configuration(next(arm.cells())), 99)
    store.write_runs("0123456789abcdef", [row(arm, run)], schema.runs_schema(SPEC))
    aged(store)
    assert store.compact() == (2, 1)
    assert len(ids(store)) == 7


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_the_table_is_that_of_the_small_files(filled, tmp_path, form):
    store = filled()
    before = Results(str(tmp_path), SPEC.name).table().render(form)
    store.compact()
    assert Results(str(tmp_path), SPEC.name).table().render(form) == before


def test_the_command_tells_how_many_files_there_are(filled, tmp_path, capsys):
    store = filled()
    with pytest.raises(SystemExit) as ended:
        main(["compact", "small", "--store", str(tmp_path)])
    assert ended.value.code == 0
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("6 files of rows", "now 1", store.uri):
        assert part in line


def test_a_sweep_that_is_driven_is_left_alone(filled, tmp_path, capsys):
    store = filled()
    with Lease(store.files), pytest.raises(SystemExit) as ended:
        main(["compact", "small", "--store", str(tmp_path)])
    assert ended.value.code != 0
    assert len(store.files.names("runs")) == 6
    assert "small" in capsys.readouterr().err

"""A merge removes nothing before its rows are whole, and no reader loses a row meanwhile."""

import json

import pytest
from store_helpers import SPEC, cut_merge, fill, flipped, ids

from raysweep.cli.main import main
from raysweep.errors import DamagedFile, StoreError
from raysweep.store import compaction, json_file

ROWS, PLAN = compaction.ROWS, compaction.PLAN


@pytest.fixture
def store(tmp_path):
    """A store of six runs."""
    return fill(tmp_path)


def missing(store):
    store.files.remove(ROWS)


def truncated(store):
    store.files.write(ROWS, store.files.read(ROWS)[:-100])


def flipped_rows(store):
    store.files.write(ROWS, flipped(store.files.read(ROWS), 8 * 700))


def fewer(store):
    """Whole, but without a row, as of another moment."""
    store.files.write_table(ROWS, store.files.read_table(ROWS).slice(1))


def as_planned_before(store):
    """The plan as an older version wrote it, without a digest."""
    plan = compaction.under_way(store.files)
    text = json.dumps({"target": plan.target, "sources": list(plan.sources)})
    store.files.write(PLAN, text.encode())


DAMAGES = pytest.mark.parametrize("damage", [missing, truncated, flipped_rows, fewer])
PLANS = pytest.mark.parametrize("plan", [lambda store: None, as_planned_before], ids=["new", "old"])


@DAMAGES
@PLANS
def test_readers_see_the_sources_where_the_merged_rows_are_not_whole(store, damage, plan):
    before = ids(store)
    cut_merge(store, 2)
    plan(store), damage(store)
    assert ids(store) == before


@DAMAGES
@PLANS
@pytest.mark.parametrize("end", ["prepare", "compact"])
def test_a_merge_whose_rows_are_not_whole_is_dropped_and_every_source_kept(
    store, damage, plan, end
):
    before = ids(store)
    cut_merge(store, 2)
    plan(store), damage(store)
    store.prepare(SPEC) if end == "prepare" else compaction.end(store.files)
    assert ids(store) == before
    assert len(store.files.names("runs", ".parquet")) == 6
    assert store.files.names("merging") == []
    assert store.files.exists("damaged/merging/rows.parquet") == (damage is not missing)


@pytest.mark.parametrize("damage", [missing, truncated, flipped_rows])
@PLANS
def test_where_sources_are_gone_too_everything_stops_and_names_them(store, damage, plan):
    cut_merge(store, 4)
    gone = compaction.under_way(store.files).sources[0]
    plan(store), damage(store)
    kept = store.files.names("runs", ".parquet")
    for ask in (store.runs, lambda: compaction.end(store.files), lambda: store.prepare(SPEC)):
        with pytest.raises(StoreError, match=f"expected merging/rows.parquet .* missing {gone}"):
            ask()
    assert store.files.names("runs", ".parquet") == kept
    assert compaction.under_way(store.files) is not None


def test_the_command_keeps_every_row_of_a_merge_without_its_rows(store, tmp_path, capsys):
    before = ids(store)
    cut_merge(store, 2)
    missing(store)
    with pytest.raises(SystemExit) as ended:
        main(["compact", "small", "--store", str(tmp_path)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("6 files of rows, now 1")
    assert ids(store) == before


@pytest.mark.parametrize("cut", [2, 4, 9])
def test_rows_that_appear_late_end_the_merge_as_planned(store, cut):
    before = ids(store)
    cut_merge(store, cut)
    data = store.files.read(ROWS) or store.files.read(compaction.under_way(store.files).target)
    store.files.remove(ROWS)
    store.files.write(ROWS, data)
    store.prepare(SPEC)
    assert ids(store) == before
    assert len(store.files.names("runs", ".parquet")) == 1


@pytest.mark.parametrize("damage", [truncated, flipped_rows, fewer])
@pytest.mark.parametrize("end", ["prepare", "compact"])
@pytest.mark.parametrize("cut", [4, 9])
def test_merged_rows_that_were_moved_stay_where_a_damaged_copy_is_left(store, damage, end, cut):
    before = ids(store)
    cut_merge(store, cut)
    target = compaction.under_way(store.files).target
    data = store.files.read(ROWS) or store.files.read(target)
    for name in (ROWS, target):
        store.files.write(name, data)
    damage(store)
    assert ids(store) == before
    store.prepare(SPEC) if end == "prepare" else store.compact()
    assert ids(store) == before
    assert store.files.names("runs", ".parquet") == [target]
    assert store.files.exists("damaged/merging/rows.parquet")


def test_a_merge_that_is_given_up_keeps_what_is_left_and_its_plan(store):
    cut_merge(store, 4)
    missing(store)
    left = store.files.names("runs", ".parquet")
    compaction.give_up(store.files)
    assert store.files.names("runs", ".parquet") == left
    assert len(ids(store)) == len(left) == 4
    assert store.files.exists("damaged/merging/plan.json")


@pytest.mark.parametrize("changes", [2, 4])
def test_a_damaged_plan_loses_no_row(store, changes):
    before = ids(store)
    cut_merge(store, changes)
    store.files.write(PLAN, flipped(store.files.read(PLAN), 8 * 60))
    with pytest.raises(DamagedFile, match=r"merging/plan.json: .*; run the sweep file again"):
        store.runs()
    store.prepare(SPEC)
    assert ids(store) == before


def test_rows_whose_plan_was_not_copied_lose_no_row(store):
    before = ids(store)
    cut_merge(store, 4)
    store.files.remove(PLAN)
    store.prepare(SPEC)
    assert ids(store) == before


def test_a_plan_holds_the_number_of_rows_and_the_digest_of_the_merged_file(store):
    cut_merge(store, 2)
    plan = compaction.under_way(store.files)
    assert plan.rows == len(plan.sources) == 6
    assert len(plan.sha256) == 64


def test_every_flipped_bit_of_a_plan_is_found_or_without_effect(store):
    cut_merge(store, 2)
    data, whole = store.files.read(PLAN), compaction.under_way(store.files)
    for bit in range(0, 8 * len(data), 7):
        try:
            found = compaction._merge_of(json.loads(flipped(data, bit)))
        except json_file.WRONG:
            continue
        assert found == whole

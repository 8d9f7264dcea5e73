"""Laws of plan and store that hold for every small sweep, whatever happened to it."""

import collections

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from law_helpers import Sweep, curves, examples, killed_at, listed, metrics, place, sweeps

from raysweep.driver import session
from raysweep.store import compaction


def missing(here, sweep):
    """Ids of the runs that the next session would train."""
    schedule = session.plan(session.load(sweep.spec(here.trouble)), here.folder / "store")
    return {run_id for run_id in schedule.planned if run_id not in schedule.ended}


def ids(rows):
    return {row["run_id"] for row in rows}


@pytest.mark.slow
@examples(12)
@given(sweeps())
def test_the_plan_after_a_complete_store_is_empty(sweep):
    with place() as here:
        assert here.sit(sweep).runs().num_rows > 0
        assert missing(here, sweep) == set()


@pytest.mark.slow
@examples(12)
@given(sweeps(listed), st.integers(4, 6), st.data())
def test_a_seed_that_is_added_adds_exactly_its_runs(sweep, seed, data):
    with place() as here:
        results = here.sit(sweep)
        place_of_seed = data.draw(st.integers(0, len(sweep.seeds)))
        seeds = [*sweep.seeds]
        seeds.insert(place_of_seed, seed)
        wider = sweep.having(seeds=tuple(seeds))
        added = missing(here, wider)
        before = results.runs()
        after = here.sit(wider).runs().to_pylist()
    configurations = set(before["configuration_id"].to_pylist())
    assert added == ids(after) - ids(before.to_pylist())
    assert {row["seed"] for row in after if row["run_id"] in added} == {seed}
    assert len(added) == len(configurations)


@pytest.mark.slow
@examples(12)
@given(sweeps(listed), st.randoms())
def test_any_subset_of_the_files_plans_exactly_the_complement(sweep, random):
    with place() as here:
        store = here.sit(sweep).store
        gone = set()
        for name in store.files.names("runs"):
            if random.random() < 0.5:
                gone |= ids(store.files.read_table(name).to_pylist())
                store.files.remove(name)
        assert missing(here, sweep) == gone


@pytest.mark.slow
@examples(8)
@given(sweeps(), sweeps(), st.randoms())
def test_what_was_deleted_is_trained_again_to_the_same_numbers(first, sweep, random):
    with place() as here:
        here.sit(first)
        files = here.sit(sweep).store.files
        for name in files.names("runs"):
            if random.random() < 0.5:
                files.remove(name)
        found, wanted = here.sit(sweep), here.undisturbed(sweep)
        run_ids = ids(wanted.runs().to_pylist())
        assert metrics(found, run_ids) == metrics(wanted)
        assert curves(found, run_ids) == curves(wanted)


def globbed(store):
    """How often any other tool sees each run."""
    return collections.Counter(
        run_id
        for name in store.files.names("runs", ".parquet")
        for run_id in pq.read_table(store.files.path(name))["run_id"].to_pylist()
    )


kills = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), min_size=1, max_size=4)


@pytest.mark.slow
@examples(12)
@given(sweeps(), st.booleans(), st.sampled_from([2, 5, 2**17]), kills)
def test_merges_killed_anywhere_never_change_what_readers_see(sweep, failing, most, kills):
    """Each kill of a merge is followed by one of the next driver, while it prepares the store."""
    with place() as here, pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "SETTLED_S", -1.0)
        patch.setattr(compaction, "MOST_ROWS", most)
        results = here.sit(sweep, trouble={"raise": [0]} if failing else None)
        store, spec = results.store, results.store.spec()
        before, table = metrics(results), results.table().render("csv")
        actions = [(store.compact, lambda: store.prepare(spec)) for _ in kills]
        changes = [*kills, (10**6, 10**6)]
        for (merge, prepare), both in zip([*actions, actions[0]], changes, strict=True):
            for action, change in zip((merge, prepare), both, strict=True):
                with killed_at(change):
                    action()
                assert metrics(results) == before
                assert results.table().render("csv") == table
                assert max(globbed(store).values(), default=0) <= 1  # the others may wait
        assert set(globbed(store)) == {row[0] for row in before}
        assert store.files.names("merging") == []


troubles = st.sampled_from(
    [None, None, {"raise": [1], "at": 3}, {"raise": [0, 2], "at": 5}, {"memory_above": 1}]
)
endings = st.sampled_from(["stop", "kill", "kill", "whole"])
moments = st.integers(0, 12) | st.integers(0, 150)
sessions = st.lists(st.tuples(st.booleans(), endings, moments, troubles), min_size=1, max_size=4)


@pytest.mark.slow
@examples(6)
@given(sweeps(), sweeps(), sessions)
@example(
    Sweep(seeds=(0, 1)), Sweep(seeds=(3,)), [(True, "stop", 4, None), (False, "kill", 4, None)]
)
def test_any_edits_between_sessions_end_in_the_rows_of_an_undisturbed_sweep(one, other, sessions):
    """The file is edited between two contents, there and back."""
    with place() as here:
        for first, *session in sessions:
            here.sit(one if first else other, *session)
        found, wanted = here.sit(one), here.undisturbed(one)
        run_ids = ids(wanted.runs().to_pylist())
        assert metrics(found, run_ids) == metrics(wanted)
        assert curves(found, run_ids) == curves(wanted)
        for rows, width in ((metrics(found), 1), (curves(found), 2)):
            keys = [row[:width] for row in rows]
            assert len(keys) == len(set(keys))
        assert missing(here, one) == set()

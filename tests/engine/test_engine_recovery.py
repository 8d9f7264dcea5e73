"""Packs that fail late resume from their checkpoint, whole or in halves; nothing is lost."""

import pyarrow as pa
import pytest
from engine_helpers import by_run
from test_engine_trouble import outcome, stopped_after

from raysweep.driver import session
from raysweep.formats.status import status_text
from raysweep.sweepfile.reader import read_spec

STEPS = 20
SLOW = {"delay_s": 0.12}  # a slice of training is 9 steps, and a checkpoint follows each
EVERY_SLICE = {"checkpoint_s": 0.01}


def executed(results):
    """Steps executed by seed."""
    return {row["seed"]: row["steps_executed"] for row in results.runs().to_pylist()}


def late(toy, trouble, **keys):
    """A sweep of four seeds in one pack with checkpoints."""
    return toy(
        task={**trouble.task, **SLOW},
        **{"training": {"lr": 0.1}, "seeds": 4, "resources": EVERY_SLICE, **keys},
    )


def curve_steps(results):
    """How many rows each run and step has."""
    rows = results.curves().group_by(["run_id", "step"]).aggregate([([], "count_all")])
    return rows["count_all"].to_pylist()


@pytest.mark.slow
def test_halves_of_a_pack_resume_from_its_last_checkpoint(inline, toy, trouble):
    spec = late(toy, trouble)
    whole = by_run(inline(spec, store="whole"))
    trouble.make(**{"raise": [1], "at": 18})
    results = inline(spec)
    assert outcome(results) == {0: "done", 1: "failed", 2: "done", 3: "done"}
    done = {run_id: value for run_id, value in by_run(results).items() if value[0] is not None}
    assert done.items() <= whole.items()
    most = max(steps for seed, steps in executed(results).items() if seed != 1)
    assert STEPS <= most < 2 * STEPS


@pytest.mark.slow
def test_curves_of_a_divided_pack_have_each_step_once(inline, toy, trouble):
    trouble.make(**{"raise": [1], "at": 18})
    results = inline(late(toy, trouble))
    counts = curve_steps(results)
    assert set(counts) == {1}
    assert len(counts) >= 3 * STEPS // 5


@pytest.mark.slow
def test_the_next_attempt_adds_the_steps_of_all_before(inline, toy, trouble):
    spec = late(toy, trouble)
    trouble.make(**{"raise": [1], "at": 18})
    before = executed(inline(spec))[1]
    trouble.end()
    results = inline(spec)
    assert before >= 18
    assert executed(results)[1] == before + STEPS
    assert curve_steps(results).count(1) == len(curve_steps(results)) == 4 * 4


@pytest.fixture
def narrowed(inline, toy, trouble, monkeypatch):
    """Stops a pack of four in the middle, then runs the same sweep with fewer seeds."""

    def run(seeds, told=None):
        with monkeypatch.context() as patch:
            stopped_after(patch, 1)
            inline(late(toy, trouble))
        if told:
            trouble.make(**told)
        return inline(late(toy, trouble, seeds=seeds))

    return run


@pytest.mark.parametrize("seeds", [[1], [1, 2], [0, 3]], ids=str)
@pytest.mark.slow
def test_a_stopped_pack_of_which_fewer_runs_are_planned_resumes(
    inline, toy, trouble, narrowed, seeds
):
    whole = by_run(inline(late(toy, trouble), store="whole"))
    results = narrowed(seeds)
    assert outcome(results) == dict.fromkeys(seeds, "done")
    assert by_run(results).items() <= whole.items()
    assert set(executed(results).values()) == {STEPS}


@pytest.mark.slow
def test_a_run_of_a_narrowed_pack_that_fails_has_one_row_for_good(inline, toy, trouble, narrowed):
    results = narrowed([1], {"raise": [1], "at": 18})
    assert outcome(results) == {1: "failed"}
    trouble.end()
    for _ in range(2):
        results = inline(late(toy, trouble, seeds=[1]))
        assert [row["status"] for row in results.runs().to_pylist()] == ["done"]


def test_the_file_of_a_failed_run_has_its_name(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    results = inline(late(toy, trouble, training={"lr": 0.1}))
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    assert results.store.files.exists(f"runs/{row['run_id']}.parquet")


def rows_in_files(results):
    files = results.store.files
    return sum(files.read_table(name).num_rows for name in files.names("runs", ".parquet"))


@pytest.fixture
def doubled(inline, toy, trouble):
    """A store in which a run that is done also has the failed row of an earlier version."""
    trouble.make(**{"raise": [1]})
    spec = toy(task=trouble.task, training={"lr": 0.1})
    results = inline(spec)
    files = results.store.files
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    failed = files.read_table(f"runs/{row['run_id']}.parquet")
    trouble.end()
    results = inline(spec)
    files.write_table("runs/0123456789abcdef.parquet", failed)
    return spec, results, row["run_id"]


def test_of_two_rows_of_a_run_the_good_one_holds_and_the_next_session_removes_the_other(
    inline, doubled, caplog
):
    spec, results, _ = doubled
    assert rows_in_files(results) == 4
    results = inline(spec)
    assert outcome(results) == dict.fromkeys(range(3), "done")
    assert rows_in_files(results) == 3
    assert "1 row removed, as each run has one row only" in caplog.text


READERS = {
    "runs": lambda results: results.runs().num_rows,
    "sql": lambda results: results.sql("select count(*) as n from runs")["n"][0].as_py(),
    "table": lambda results: results.table().cells[0].n,
    "count": lambda results: results.store.count("runs"),
}


@pytest.mark.parametrize("reader", READERS)
def test_readers_see_one_row_of_a_run_with_two(doubled, reader):
    _, results, _ = doubled
    assert READERS[reader](results) == 3


def test_status_counts_a_run_with_two_rows_once(doubled, tmp_path):
    text = status_text(str(tmp_path / "store"), "toys")
    assert "3 of 3 planned runs ended" in text
    assert "failed " not in text.partition("failed")[2]


def test_of_two_failed_rows_the_later_one_is_read(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    results = inline(toy(task=trouble.task, training={"lr": 0.1}))
    files = results.store.files
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    table = files.read_table(f"runs/{row['run_id']}.parquet")
    later = table.set_column(
        table.schema.get_field_index("attempts"), "attempts", pa.array([2], pa.int32())
    )
    files.write_table("runs/0123456789abcdef.parquet", later.cast(table.schema))
    found = [each for each in results.runs().to_pylist() if each["status"] == "failed"]
    assert [each["attempts"] for each in found] == [2]


def test_two_rows_of_a_run_plan_nothing(inline, doubled, tmp_path):
    spec, _, _ = doubled
    assert session.plan(read_spec(spec), tmp_path / "store").missing == 0


def test_a_failed_row_in_a_file_of_an_earlier_version_is_replaced(inline, toy, trouble):
    trouble.make(**{"raise": [1]})
    spec = toy(task=trouble.task, training={"lr": 0.1})
    results = inline(spec)
    (row,) = (row for row in results.runs().to_pylist() if row["status"] == "failed")
    results.store.files.move(f"runs/{row['run_id']}.parquet", f"runs/{row['pack_id']}.parquet")
    trouble.end()
    results = inline(spec)
    assert outcome(results) == dict.fromkeys(range(3), "done")
    assert results.runs().num_rows == 3


@pytest.mark.slow
def test_a_stopped_pack_that_leaves_the_file_for_a_session_resumes(inline, toy, trouble, narrowed):
    narrowed([7])
    results = inline(late(toy, trouble, seeds=[0, 1, 2, 3]))
    assert set(executed(results).values()) == {STEPS}
    assert set(curve_steps(results)) == {1}

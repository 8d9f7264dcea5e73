"""How often runs are tried again, and when a sweep ends because too many of them fail."""

import pytest
from click.testing import CliRunner
from test_engine_trouble import outcome

import raysweep
from raysweep.cli.main import cli
from raysweep.engine.errors_of_runs import is_a_signal
from raysweep.errors import TooManyFailures, is_memory_error
from raysweep.store.sweep_store import SweepStore


@pytest.fixture
def failing(toy, trouble):
    """A sweep whose seed 1 fails."""
    trouble.make(**{"raise": [1]})
    return lambda **keys: toy(task=trouble.task, training={"lr": 0.1}, **keys)


def status(tmp_path, *options):
    result = CliRunner().invoke(
        cli, ["status", "toys", "--store", str(tmp_path / "store"), *options]
    )
    assert result.exit_code == 0
    return result.output


def test_quarantined_runs_are_tried_again_when_asked(inline, failing, trouble):
    spec = failing(resources={"max_failures": 1})
    inline(spec)
    trouble.end()
    assert outcome(inline(spec))[1] == "failed"
    assert outcome(inline(spec, retry_failed=True)) == dict.fromkeys(range(3), "done")


def test_an_attempt_beyond_the_most_is_counted(inline, failing):
    spec = failing(resources={"max_failures": 1})
    inline(spec)
    (row,) = (
        row
        for row in inline(spec, retry_failed=True).runs().to_pylist()
        if row["status"] == "failed"
    )
    assert row["attempts"] == 2


def test_status_shows_every_attempt_of_a_failed_run(inline, failing, tmp_path):
    spec = failing(resources={"max_failures": 2})
    inline(spec)
    assert "1 of 2 attempts, tried again by the next run" in status(tmp_path, "--failed")
    inline(spec)
    text = status(tmp_path, "--failed")
    assert "(ST · walk, seed 1), 2 of 2 attempts, quarantined" in text
    assert text.count("RuntimeError: this seed is unlucky") == 2
    assert "1 failed run, 1 of them quarantined; 'raysweep run FILE --retry-failed'" in text


def test_status_says_that_no_run_failed(inline, toy, tmp_path):
    inline(toy())
    assert status(tmp_path, "--failed") == "toys has no failed run\n"


def test_a_sweep_ends_when_more_runs_fail_than_it_allows(inline, toy, trouble):
    trouble.make(**{"raise": list(range(1, 10))})
    spec = toy(
        task=trouble.task,
        training={"lr": 0.1},
        seeds=10,
        resources={"max_failed_fraction": 0.2, "pack": 1},
    )
    with pytest.raises(TooManyFailures, match=r"3 of 10 runs failed, more than .* 0\.2 allows"):
        inline(spec)
    trouble.end()
    assert set(outcome(inline(spec)).values()) == {"done"}


def test_a_sweep_goes_on_while_no_more_runs_fail_than_it_allows(inline, failing):
    results = inline(failing(resources={"max_failed_fraction": 0.34}))
    assert outcome(results) == {0: "done", 1: "failed", 2: "done"}


def test_a_share_of_failures_is_not_a_percentage(toy):
    with pytest.raises(
        raysweep.SpecError, match="expected max_failed_fraction between 0 and 1, got 20"
    ):
        raysweep.run(toy(resources={"max_failed_fraction": 20}))


@pytest.mark.parametrize("how", ["exit", "interrupt"])
def test_a_run_that_ends_its_process_by_an_exception_fails(inline, toy, trouble, how):
    trouble.make(**{how: [1], "at": 3})
    results = inline(toy(task=trouble.task, training={"lr": 0.1}))
    assert outcome(results) == {0: "done", 1: "failed", 2: "done"}


def test_an_exit_below_a_folder_named_ray_is_the_run_s_own(tmp_path):
    pytest.importorskip("ray")
    code = compile("raise SystemExit(0)", str(tmp_path / "ray" / "task.py"), "exec")
    with pytest.raises(SystemExit) as raised:
        exec(code)
    assert not is_a_signal(raised.value)


@pytest.mark.ray
def test_a_run_that_calls_exit_fails_under_ray(shared_ray, toy, trouble, tmp_path):
    trouble.make(exit=[1], at=3)
    results = raysweep.run(toy(task=trouble.task, training={"lr": 0.1}), store=tmp_path)
    assert outcome(results) == {0: "done", 1: "failed", 2: "done"}


def test_an_attempt_that_cannot_be_written_ends_the_session(
    executor, failing, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise raysweep.StoreError("cannot write attempts: read-only file system")

    monkeypatch.setattr(SweepStore, "write_attempt", refuse)
    with pytest.raises(raysweep.StoreError, match="cannot write attempts"):
        raysweep.run(failing(), store=tmp_path, **executor)


ALLOCATOR = "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize("error", [RuntimeError(ALLOCATOR), MemoryError(), OSError("disk")])
def test_memory_that_ran_out_is_told_from_other_errors(error):
    assert is_memory_error(error) is not isinstance(error, OSError)

"""Failed runs leave behind: tracebacks, output, and errors said once."""

import json
import re
import sys
import types

import pytest
import torch
from click.testing import CliRunner
from test_engine_trouble import outcome

import raysweep
from raysweep import estimators
from raysweep.cli.main import cli, main
from raysweep.engine.output import Output
from raysweep.engine.work import Worker
from raysweep.estimators import Noise
from raysweep.store import pack_log
from raysweep.store.pack_log import LIMIT
from raysweep.testing import toy as toy_module

FEW = {"resources": {"stop_after": None}}


@pytest.fixture
def command(tmp_path):
    """Output of a command on the sweep."""

    def run(*words):
        result = CliRunner().invoke(cli, [*words, "--store", str(tmp_path / "store")])
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def failing(toy, trouble):
    """A sweep of three runs, of which seed 1 prints, logs and fails."""
    trouble.make(**{"speak": [1], "raise": [1]})
    return lambda **keys: toy(task=trouble.task, training={"lr": 0.1}, **keys)


def test_an_attempt_keeps_its_traceback(inline, failing):
    (attempt,) = inline(failing()).attempts().to_pylist()
    assert attempt["traceback"].startswith("Traceback (most recent call last):\n")
    assert attempt["traceback"].endswith("RuntimeError: this seed is unlucky\n")


def test_logs_show_traceback_and_output_of_a_failed_run(sweep, failing, command):
    (attempt,) = sweep(failing()).attempts().to_pylist()
    text = command("logs", "toys", attempt["run_id"][:6])
    assert re.search(r"run \w{16} \(ST · walk, seed 1\), in pack \w{16}\nattempt 1, ", text)
    assert "  RuntimeError: this seed is unlucky\n" in text
    assert "a printed line\nWARNING toy: a logged line" in text


def test_logs_show_the_output_of_a_run_that_is_done(inline, toy, trouble, command):
    trouble.make(speak=[0])
    (row, *_) = inline(toy(task=trouble.task, seeds=1)).runs().to_pylist()
    assert "a printed line" in command("logs", "toys", row["run_id"])
    assert f"logs toys {row['pack_id']}" in command("logs", "toys")


def test_logs_show_each_error_once(inline, toy, trouble, command):
    trouble.make(**{"raise": [0, 1, 2]})
    inline(toy(task=trouble.task, **FEW))
    text = command("logs", "toys")
    assert text.count("Traceback (most recent") == 1
    assert re.match(r"6 runs, such as \w{16}: RuntimeError: this seed is unlucky", text)


def test_logs_say_that_no_run_failed(inline, toy, command):
    inline(toy())
    assert command("logs", "toys").startswith("no run of toys has failed\nno output was kept")


@pytest.mark.parametrize("wanted", ["zz", "", "0"])
def test_an_id_that_fits_no_run_is_refused(inline, toy, tmp_path, wanted):
    inline(toy(seeds=40))
    result = CliRunner().invoke(cli, ["logs", "toys", wanted, "--store", str(tmp_path / "store")])
    assert "expected" in str(result.exception)
    assert "of toys" in str(result.exception)


def test_status_says_an_error_once_with_the_number_of_runs(inline, toy, trouble, command):
    trouble.make(**{"raise": [0, 1, 2]})
    inline(toy(task=trouble.task, **FEW))
    (line,) = (line for line in command("status", "toys").splitlines() if "unlucky" in line)
    assert line.startswith("failed 6 runs, such as ")


def test_a_later_session_adds_to_the_output(inline, failing):
    inline(failing())
    results = inline(failing())
    first, second = results.attempts().sort_by("attempt").to_pylist()
    assert first["pack_id"] == second["pack_id"]
    text = pack_log.read(results.store.files, first["pack_id"])
    assert text.count("a printed line") == text.count("---\n") == 2


def test_of_much_output_the_end_is_kept():
    output = Output()
    with output.captured():
        for number in range(LIMIT // 4):
            print(f"line {number}")  # noqa: T201 - to be captured
    text = output.take()
    assert len(text) <= LIMIT
    assert text.startswith("… (the first of ")
    assert text.endswith(f"line {LIMIT // 4 - 1}\n")


def test_output_still_goes_where_it_went(capsys):
    output = Output()
    with output.captured():
        print("here")  # noqa: T201 - to be captured
    assert capsys.readouterr().out == output.take() == "here\n"


def test_attempts_of_older_versions_have_no_traceback(inline, failing, command):
    results = inline(failing())
    files = results.store.files
    (name,) = files.names("attempts", ".parquet")
    table = files.read_table(name)
    files.write_table(name, table.drop_columns(["traceback", "pack_id"]))
    assert results.attempts()["traceback"].to_pylist() == [None]
    assert "no traceback: the process ended" in command("logs", "toys")


def test_the_error_names_the_users_own_line(inline, toy, monkeypatch):
    def advance(self, steps):
        return "".index("x")  # raised here, not in a library

    monkeypatch.setattr(toy_module.Walk, "advance", advance)
    error = inline(toy(seeds=1)).runs()["error"][0].as_py()
    assert "(test_engine_logs.py:" in error


def test_a_library_is_not_to_blame(inline, toy, monkeypatch):
    def advance(self, steps):
        json.loads("{")

    monkeypatch.setattr(toy_module.Walk, "advance", advance)
    error = inline(toy(seeds=1)).runs()["error"][0].as_py()
    assert error.startswith("JSONDecodeError: ")
    assert "(test_engine_logs.py:" in error


def test_an_estimator_of_ours_is_not_to_blame_for_an_objective(inline, toy, monkeypatch):
    def advance(self, steps):
        logits = torch.zeros(3, 2, 2, requires_grad=True)
        estimators.get("reinforce_loo").estimate(logits, lambda one_hot: one_hot, Noise(seed=0))

    monkeypatch.setattr(toy_module.Walk, "advance", advance)
    spec = toy(seeds=1, estimators={"RLOO": {"estimator": "reinforce_loo"}})
    error = inline(spec).runs()["error"][0].as_py()
    assert error.startswith("ValueError: ")
    assert "(test_engine_logs.py:" in error


def test_the_first_error_is_raised_for_a_debugger(failing, tmp_path):
    spec = tmp_path / "sweep.json"
    spec.write_text(json.dumps(failing()))
    words = ["run", str(spec), "--store", str(tmp_path / "store"), "--inline", "--raise"]
    with pytest.raises(RuntimeError, match="this seed is unlucky") as raised:
        main(words)
    assert raised.traceback[-1].name == "_raise"
    assert not raysweep.open(tmp_path / "store", "toys").attempts().num_rows


def test_the_first_error_is_raised_in_python_too(inline, failing):
    with pytest.raises(RuntimeError, match="this seed is unlucky"):
        inline(failing(), raises=True)


def test_only_this_process_can_raise_for_a_debugger(tmp_path):
    result = CliRunner().invoke(cli, ["run", "any.yaml", "--raise"])
    assert "--raise needs --inline" in result.output


def test_a_session_ends_when_its_first_runs_all_fail_alike(inline, toy, trouble):
    trouble.make(**{"raise": list(range(40))})
    spec = toy(task=trouble.task, seeds=40)
    with pytest.raises(raysweep.RaysweepError, match="all of the first 5 runs failed with Runtime"):
        inline(spec)
    trouble.end()
    assert set(outcome(inline(spec)).values()) == {"done"}


def test_a_session_goes_on_when_one_run_ended_well(inline, toy, trouble):
    trouble.make(**{"raise": list(range(1, 10))})
    results = inline(toy(task=trouble.task, training={"lr": 0.1}, seeds=10))
    assert list(outcome(results).values()).count("failed") == 9


def test_a_common_error_is_found_in_few_attempts(inline, toy, trouble, monkeypatch):
    tried = []
    real = Worker.step
    monkeypatch.setattr(
        Worker, "step", lambda self: tried.append(len(self.pack.runs)) or real(self)
    )
    trouble.make(**{"raise": list(range(64))})
    with pytest.raises(raysweep.RaysweepError):
        inline(toy(task=trouble.task, training={"lr": 0.1}, seeds=64, resources={"pack": 64}))
    assert tried == [64, 1, 63, 1, 62, 1, 61, 1, 60, 1]


def test_runs_that_failed_are_packed_again_once_one_of_them_ends_well(inline, toy, trouble):
    trouble.make(**{"raise": list(range(8))})
    spec = toy(task=trouble.task, training={"lr": 0.1}, seeds=8, resources={"stop_after": None})
    inline(spec)
    trouble.end()
    rows = inline(spec).runs().to_pylist()
    assert [row["status"] for row in rows] == ["done"] * 8
    assert sorted(row["replicas"] for row in rows) == [1, *[7] * 7]
    assert {row["attempts"] for row in rows} == {2}


def test_runs_that_fail_again_train_alone(inline, toy, trouble):
    trouble.make(**{"raise": list(range(4))})
    spec = toy(task=trouble.task, training={"lr": 0.1}, seeds=4, resources={"stop_after": None})
    inline(spec)
    results = inline(spec)
    assert set(outcome(results).values()) == {"failed"}
    assert results.attempts().num_rows == 8


def test_a_task_that_takes_no_step_fails_at_once(inline, toy, monkeypatch):
    monkeypatch.setattr(toy_module.Walk, "advance", lambda self, steps: {"train_loss": self.x})
    error = inline(toy(seeds=1)).runs()["error"][0].as_py()
    assert "advance(1) must raise step from 0 to 1, got step 0" in error


def test_a_metric_that_is_not_declared_is_named(inline, toy, monkeypatch):
    monkeypatch.setattr(toy_module.Walk, "evaluate", lambda self: {"accuracy": self.x})
    error = inline(toy(seeds=1)).runs()["error"][0].as_py()
    assert "evaluate returned the metric 'accuracy', which the task does not declare" in error


def test_output_leaves_with_the_last_run_of_its_pack(inline, toy, trouble, command):
    trouble.make(speak=[0, 1, 2])
    results = inline(toy(task=trouble.task, training={"lr": 0.1}, resources={"pack": 2}))
    before = pack_log.packs(results.store.files)
    (gone,) = (row["pack_id"] for row in results.runs().to_pylist() if row["replicas"] == 1)
    command("rm", "toys", "--yes", "--where", f"pack_id = '{gone}'")
    assert sorted({*before} - {gone}) == pack_log.packs(results.store.files)


def test_python_is_warned_of_runs_that_failed(inline, failing, caplog):
    inline(failing())
    (line,) = (line for line in caplog.messages if "failed" in line)
    assert re.match(r"run \w{16} failed: RuntimeError: this seed is unlucky \(toy\.py:\d+\)", line)


@pytest.mark.parametrize(("quiet", "shown"), [(None, True), (True, False)])
def test_progress_is_shown_in_notebooks(inline, toy, monkeypatch, capsys, quiet, shown):
    class ZMQInteractiveShell:
        """The class of the shell in the kernel of a notebook."""

    kernel = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    inline(toy(), quiet=quiet)
    assert ("6 of 6 runs" in capsys.readouterr().err) == shown


def test_errors_of_the_past_are_not_shown_as_present_ones(inline, failing, trouble, command):
    inline(failing())
    trouble.end()
    (row,) = (row for row in inline(failing()).runs().to_pylist() if row["attempts"] == 2)
    text = command("logs", "toys")
    assert "Traceback" not in text
    assert "1 run had attempts that failed, and ended since: " in text
    assert f"'raysweep logs toys {row['run_id']}'" in text
    assert "has failed" not in text


def test_failed_attempts_of_runs_that_have_not_ended_are_said_and_shown(inline, toy, command):
    run_id = "f" * 16
    store = inline(toy()).store
    store.write_attempt(run_id, 1, "RuntimeError: odd", traceback="a traceback", pack_id="0" * 16)
    text = command("logs", "toys")
    assert text.startswith("1 run had attempts that failed, and not ended since: ")
    assert "a traceback" in command("logs", "toys", run_id)


def test_failed_runs_are_not_said_to_be_of_other_code(inline, failing, edit, command):
    inline(failing())
    edit()
    text = command("status", "toys")
    assert "the code of task toy changed since 2 runs" in text


def test_a_pack_that_took_no_step_has_the_code_of_its_next_start(inline, failing, edit, trouble):
    with pytest.raises(RuntimeError):
        inline(failing(), raises=True)
    edit()
    trouble.end()
    results = inline(failing())
    (code,) = set(results.runs()["code"].to_pylist())
    assert code.startswith("0123456789ab")

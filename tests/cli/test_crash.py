"""Whatever goes wrong, a command ends with one line; a traceback goes into a file."""

import re
import stat
from pathlib import Path

import pytest

import raysweep
from raysweep.cli import main
from raysweep.formats import status
from raysweep.store.files import Files

SWEEP = {
    "name": "listed",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 2,
}


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """Runs a command on a store with one sweep; exit code, output and lines of errors."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    raysweep.run(SWEEP, store=tmp_path / "store", inline=True)

    def run(*words, store=tmp_path / "store"):
        with pytest.raises(SystemExit) as ended:
            main.main([*words, "--store", str(store)])
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err.splitlines()

    return run


def broken(*_):
    raise ZeroDivisionError("nobody\nexpected this")


def test_an_unexpected_error_is_one_line_with_the_file_of_its_traceback(command, monkeypatch):
    monkeypatch.setattr(status, "status_text", broken)
    code, _, (line,) = command("status", "listed")
    assert code == 1
    assert "raysweep: unexpected ZeroDivisionError: nobody expected this; the traceback" in line
    path = Path(re.search(r"is in (\S+\.log)", line)[1])
    assert "in broken" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_reports_in_one_second_have_files_of_their_own(command, monkeypatch):
    monkeypatch.setattr(status, "status_text", broken)
    monkeypatch.setattr("time.strftime", lambda _: "20250101-000000")
    lines = [command("status", "listed")[2][0] for _ in range(3)]
    paths = [Path(re.search(r"is in (\S+\.log)", line)[1]) for line in lines]
    assert len({*paths}) == 3
    assert all("in broken" in path.read_text() for path in paths)


def test_an_unexpected_error_is_one_line_where_no_log_can_be_written(
    command, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(status, "status_text", broken)
    code, _, (line,) = command("status", "listed")
    assert code == 1
    assert "(test_crash.py:" in line
    assert "could not be written" in line


def odd(name):
    def make(folder):
        (folder / name).mkdir()
        (folder / name / "spec.json").write_text("{}")

    return make


def damaged_spec(folder):
    odd("harmed")(folder)


def later(folder):
    odd("later")(folder)
    (folder / "later" / "spec.json").write_text('{"format": 99}')


def lease_that_is_a_folder(folder):
    (folder / "listed" / "lease").mkdir()


def plan_of_another_shape(folder):
    (folder / "listed" / "merging").mkdir()
    (folder / "listed" / "merging" / "plan.json").write_text("null")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (odd("Tiny (copy)"), "not a sweep's name"),
        (damaged_spec, "damaged"),
        (later, "later raysweep"),
        (lease_that_is_a_folder, "listed"),
        (plan_of_another_shape, "damaged"),
    ],
    ids=["name", "spec", "later", "lease", "plan"],
)
def test_ls_lists_the_others_beside_an_odd_folder(command, tmp_path, make, word):
    make(tmp_path / "store")
    code, out, errors = command("ls")
    assert (code, errors) == (0, [])
    assert word in out
    assert "listed" in out


def test_a_store_below_proc_is_named_in_one_line(command, tmp_path):
    spec = tmp_path / "listed.yaml"
    spec.write_bytes(Files(tmp_path / "store" / "listed").read("sweep.yaml"))
    code, _, (line,) = command("run", str(spec), "--inline", store="/proc/nothing/here")
    assert code == 1
    assert "/proc/nothing/here" in line
    assert "unexpected" not in line


def test_a_store_that_is_a_file_is_named_in_one_line(command, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, (line,) = command("ls", store=tmp_path / "file")
    assert code == 1
    assert "Not a directory" in line

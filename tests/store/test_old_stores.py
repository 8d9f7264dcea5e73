"""A store of every format there has been is read, planned and resumed; later ones are refused."""

import collections
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import raysweep
from raysweep.cli.main import main
from raysweep.driver import session
from raysweep.errors import FormatTooNew
from raysweep.store import checkpoints
from raysweep.store.format import FORMAT
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

STORES = Path(__file__).parent.parent / "assets" / "stores"
METRIC = "metric.train_loss"
FORMATS = range(1, FORMAT + 1)


def script():
    """The module that wrote the stores."""
    found = importlib.util.spec_from_file_location("make", STORES / "make.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


SWEEPS = script().SWEEPS


@pytest.fixture(params=FORMATS, ids=lambda number: f"format {number}")
def old(request, tmp_path, monkeypatch):
    """A copy of the store of a format; the working folder holds no trouble."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(STORES / str(request.param), tmp_path / "old")


def statuses(results):
    return collections.Counter(results.runs()["status"].to_pylist())


def values(results):
    return {row["run_id"]: (row["status"], row[METRIC]) for row in results.runs().to_pylist()}


def resume(store, name):
    return raysweep.run(SWEEPS[name], store=store, inline=True)


@pytest.mark.parametrize("number", FORMATS)
def test_every_format_has_a_store(number):
    assert {each.name for each in (STORES / str(number)).iterdir()} == set(SWEEPS)


@pytest.mark.parametrize(
    ("name", "ends", "rows_of_curves"),
    [
        ("ended", {"done": 2, "diverged": 2, "failed": 2}, 12),
        ("judged", {"done": 2, "stopped": 6}, 16),
        ("cut", {}, 20),
        ("sought", {"done": 10}, 10),
    ],
)
def test_runs_and_curves_are_read(old, name, ends, rows_of_curves):
    results = raysweep.open(old, name)
    assert statuses(results) == ends
    assert results.curves().num_rows == rows_of_curves


def test_attempts_and_decisions_are_read(old):
    assert raysweep.open(old, "ended").attempts().num_rows == 4
    decided = raysweep.open(old, "judged").sql("select count(*) as n from decisions where stopped")
    assert decided["n"].to_pylist() == [3]


@pytest.mark.parametrize("command", ["status", "table", "stats"])
@pytest.mark.parametrize("name", ["ended", "judged"])
def test_commands_read_it(old, name, command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, name, "--store", str(old)])
    assert ended.value.code == 0
    assert "ST" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "missing"), [("ended", 2), ("judged", 0), ("cut", 12), ("sought", 2)]
)
def test_what_is_missing_is_planned(old, name, missing):
    assert session.plan(read_spec(SWEEPS[name]), old).missing == missing


def test_the_stopped_pack_is_planned_as_it_was(old):
    (manifest,) = checkpoints.in_flight(SweepStore(str(old), "cut").files)
    queued = {pack.pack_id: pack for pack in session.plan(read_spec(SWEEPS["cut"]), old).queue}
    assert len(queued[manifest.pack.pack_id].runs) == 6
    assert (manifest.step, len(manifest.active), len(manifest.ended)) == (24, 4, 2)


def test_a_stopped_pack_resumes_to_the_numbers_of_one_never_stopped(old, tmp_path):
    Path("trouble.json").write_text(json.dumps({"nan": [2], "at": 7}))
    resumed, whole = resume(old, "cut"), resume(tmp_path / "whole", "cut")
    assert values(resumed) == values(whole)
    executed = resumed.sql("select sum(steps_executed - steps) as n from runs where status='done'")
    assert executed["n"].to_pylist() == [0]
    assert resumed.curves().num_rows == whole.curves().num_rows


def test_failed_runs_are_tried_again(old):
    results = resume(old, "ended")
    assert statuses(results) == {"done": 4, "diverged": 2}
    assert max(results.runs()["attempts"].to_pylist()) == 3


def test_a_finished_sweep_is_left_as_it_is(old):
    before = values(raysweep.open(old, "judged"))
    assert values(resume(old, "judged")) == before


def test_a_stopped_search_resumes_from_what_it_found(old):
    before = values(raysweep.open(old, "sought"))
    results = resume(old, "sought")
    assert before.items() <= values(results).items()
    assert statuses(results) == {"done": 14}


def of_format(store, number):
    """Makes a sweep one of another format."""
    path = store / "ended" / "spec.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": number}))


@pytest.mark.parametrize(
    "command",
    [
        ("run", "SPEC", "--inline"),
        ("plan", "SPEC"),
        ("status", "ended"),
        ("table", "ended"),
        ("stats", "ended"),
        ("sql", "ended", "select 1"),
        ("export", "ended", "--csv", "out.csv"),
        ("report", "ended"),
        ("plot", "ended"),
        ("compact", "ended"),
        ("rm", "ended", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_a_sweep_of_a_later_format_is_refused_by_every_command(old, capsys, command):
    of_format(old, FORMAT + 1)
    Path("SPEC").write_text((old / "ended" / "sweep.yaml").read_text())
    before = sorted(old.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main([*command, "--store", str(old)])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert f"format {FORMAT} or older, got format {FORMAT + 1}" in line
    assert "upgrade raysweep" in line
    assert sorted(old.rglob("*")) == before


@pytest.mark.parametrize("number", ["2", None, 0, True, 1.5])
def test_a_format_that_is_no_number_is_damage(old, number):
    of_format(old, number)
    with pytest.raises(raysweep.StoreError, match=r"spec.json: .*got: format .*run the sweep file"):
        raysweep.open(old, "ended")


def test_a_session_writes_the_format(old):
    resume(old, "judged")
    assert json.loads((old / "judged" / "spec.json").read_text())["format"] == FORMAT


def test_a_format_too_new_is_an_error_of_the_store():
    assert issubclass(FormatTooNew, raysweep.StoreError)

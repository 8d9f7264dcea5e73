"""Packs that began and have not ended: which the present file plans, and what becomes of others."""

import json

import pytest
from stopped_helpers import Lines, drive, stopped

import raysweep
from raysweep.cli.main import main
from raysweep.driver import again, opening, session
from raysweep.errors import SpecError
from raysweep.formats.logs import logs_text
from raysweep.formats.status import status_text
from raysweep.results.unfinished import unfinished
from raysweep.store.lease import Lease

A = {"estimator": "straight_through"}
B = {"estimator": "reinforce"}
SWEEP = {
    "name": "cut",
    "tasks": {"walk": {"task": "toy", "steps": 40}},
    "estimators": {"A": A, "B": B},
    "seeds": 4,
    "resources": {"pack": 2, "checkpoint_s": 0},
}
EDITS = {
    "without its arm": {"estimators": {"B": B}},
    "without its seeds": {"seeds": [2, 3]},
    "with other settings": {"training": {"lr": 0.3}},
}
NO_LONGER = "1 unfinished pack that the file no longer plans stays in the store"


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A sweep that was stopped at step 5 of its first pack, with the first two seeds of A."""
    stopped(monkeypatch, tmp_path, SWEEP, 5)
    return tmp_path


def edited(folder, **changes):
    """The spec of the edited file, with which the sweep was last run."""
    spec = session.load({**SWEEP, **changes})
    raysweep.open(folder, "cut").store.write_spec(spec)
    return spec


def command(folder, *words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--store", str(folder)])
    return ended.value.code


def checkpoints(folder):
    return [path.name for path in (folder / "cut" / "checkpoints").glob("*")]


def test_a_pack_that_the_file_plans_is_in_flight(cut):
    text = status_text(str(cut), "cut")
    assert "1 pack in flight: " in text
    assert "no longer plans" not in text


@pytest.mark.parametrize("edit", EDITS)
def test_a_pack_that_the_file_no_longer_plans_is_not_in_flight(cut, edit):
    edited(cut, **EDITS[edit])
    text = status_text(str(cut), "cut")
    assert "in flight" not in text
    assert NO_LONGER in text


@pytest.mark.parametrize("edit", EDITS)
def test_a_session_does_not_say_that_it_resumes_such_a_pack(cut, edit):
    display = Lines()
    drive(cut, {**SWEEP, **EDITS[edit]}, display)
    assert not [line for line in display.lines if line.startswith("resuming")]
    assert any(line.startswith(NO_LONGER) for line in display.lines)
    assert len(checkpoints(cut)) == 1


def test_the_plan_names_such_a_pack(cut):
    lines = opening.notices(session.plan(session.load({**SWEEP, "seeds": [2, 3]}), cut))
    assert any(line.startswith(NO_LONGER) for line in lines)


def test_such_a_pack_resumes_once_the_file_plans_it_again(cut):
    drive(cut, {**SWEEP, "seeds": [2, 3]})
    display = Lines()
    drive(cut, SWEEP, display)
    assert display.lines[0] == "resuming: 4 of 8 runs ended, 1 pack from step 5"
    assert checkpoints(cut) == []


def test_a_pack_with_one_planned_run_is_in_flight(cut):
    edited(cut, seeds=[1, 2])
    assert "1 pack in flight" in status_text(str(cut), "cut")


def test_fresh_seeds_are_in_flight_only_of_the_configuration_that_is_selected(
    tmp_path, monkeypatch
):
    search = {"seeds": {"search": 2, "report": 2}, "training": {"lr": [0.1, 0.4]}}
    search = {**search, "estimators": {"A": A}}
    stopped(monkeypatch, tmp_path, {**SWEEP, **search}, 90)
    text = status_text(str(tmp_path), "cut")
    assert "4 of up to 6 planned runs ended" in text
    assert "1 pack in flight: " in text
    edited(tmp_path, **search, select={"metric": "distance", "mode": "max"})
    assert NO_LONGER in status_text(str(tmp_path), "cut")


def test_a_pack_that_a_driver_trains_is_in_flight_in_any_case(cut):
    spec = edited(cut, seeds=[2, 3])
    store = raysweep.open(cut, "cut").store
    (pack_id,) = unfinished(spec, store).manifests
    with Lease(store.files) as lease:
        pace = {"token": lease.token, "stepped_at": 2e9, "longest_pause_s": 1.0, "step": 9}
        path = cut / "cut" / "checkpoints" / pack_id / "progress.json"
        path.write_text(json.dumps({"executed": 9, **pace}))
        assert "1 pack in flight" in status_text(str(cut), "cut")


@pytest.mark.parametrize("said_by", ["status", "doctor"])
def test_the_command_that_is_said_deletes_such_a_pack(cut, capsys, said_by):
    edited(cut, seeds=[2, 3])
    assert command(cut, said_by, "cut") == 0
    said = capsys.readouterr().out.partition("`raysweep rm cut --where ")[2].partition("`")[0]
    assert command(cut, "rm", "cut", "--where", said.strip('"'), "--yes") == 0
    assert "deleted 0 of 0 runs and 1 unfinished pack of cut" in capsys.readouterr().out
    assert checkpoints(cut) == []
    assert raysweep.open(cut, "cut").curves().num_rows == 0
    assert NO_LONGER not in status_text(str(cut), "cut")


def test_the_command_for_many_packs_names_none_of_them(cut, capsys, monkeypatch):
    monkeypatch.setattr("raysweep.results.unfinished.MAX_IDS", 0)
    edited(cut, seeds=[2, 3])
    assert '`raysweep rm cut --where "not in_plan and status is null"`' in status_text(
        str(cut), "cut"
    )
    assert command(cut, "rm", "cut", "--where", "not in_plan and status is null", "--yes") == 0
    assert checkpoints(cut) == []


def test_the_command_that_the_plan_of_an_edited_file_says_deletes_the_pack(cut):
    lines = opening.notices(session.plan(session.load({**SWEEP, "seeds": [2, 3]}), cut))
    said = lines[-1].partition("--where ")[2].partition("`")[0].strip('"')
    assert command(cut, "rm", "cut", "--where", said, "--yes") == 0
    assert checkpoints(cut) == []


def test_a_pack_with_other_runs_than_those_to_delete_is_kept(cut, capsys):
    assert command(cut, "rm", "cut", "--where", "seed = 0", "--yes") == 1
    expected = "1 unfinished pack with runs that meet the condition, and with others, is kept"
    assert expected in capsys.readouterr().err
    assert len(checkpoints(cut)) == 1


def test_deleting_what_no_run_meets_is_refused(cut, capsys):
    assert command(cut, "rm", "cut", "--where", "seed = 7", "--yes") == 2
    assert "no run meets the condition 'seed = 7'" in capsys.readouterr().err


SWAPPED = {"estimators": {"A": B, "B": A}}


def test_training_anew_means_the_labels_of_the_present_file(cut):
    spec = edited(cut, **SWAPPED)
    chosen = again.chosen(spec, raysweep.open(cut, "cut").store, "estimator = 'B'")
    assert chosen.packs == set(checkpoints(cut))


def test_training_anew_finds_no_pack_under_its_former_label(cut):
    with pytest.raises(SpecError, match="no stored run of the sweep file meets"):
        drive(cut, {**SWEEP, **SWAPPED}, again="estimator = 'A'")


def test_training_anew_may_ask_for_planned_runs(cut):
    drive(cut, SWEEP, again="in_plan and seed = 0")
    assert raysweep.open(cut, "cut").runs().num_rows == 8


def test_training_anew_leaves_a_pack_that_the_file_no_longer_plans(cut):
    with pytest.raises(SpecError, match="no stored run of the sweep file meets"):
        drive(cut, {**SWEEP, "seeds": [2, 3]}, again="seed < 2")
    assert len(checkpoints(cut)) == 1


def test_logs_of_a_run_in_training_have_its_present_label(cut):
    spec = edited(cut, **SWAPPED)
    row = unfinished(spec, raysweep.open(cut, "cut").store).rows.to_pylist()[0]
    text = logs_text(str(cut), "cut", row["run_id"])
    assert text.startswith(f"run {row['run_id']} (B · walk, seed {row['seed']}), in pack ")


def test_logs_of_an_ended_run_have_its_present_label(cut):
    drive(cut, SWEEP)
    edited(cut, **SWAPPED)
    row = raysweep.open(cut, "cut").runs().to_pylist()[0]
    text = logs_text(str(cut), "cut", row["run_id"])
    assert f"({row['estimator']} · walk, seed {row['seed']})" in text
    assert row["estimator"] == {"straight_through": "B", "reinforce": "A"}[row["estimator_name"]]


def test_settings_that_no_longer_fit_their_columns_do_not_harm(cut):
    spec = edited(cut, estimators={"A": {**A, "temperature": {"value": 1.0}}, "B": B})
    store = raysweep.open(cut, "cut").store
    (path,) = (cut / "cut" / "checkpoints").glob("*/manifest.json")
    data = json.loads(path.read_text())
    for run in data["pack"]["runs"]:
        run["settings"]["estimator.temperature"] = [1.0]
    data.pop("sha256", None)
    data.pop("format", None)
    path.write_text(json.dumps(data))
    assert unfinished(spec, store).rows["param.estimator.temperature"].null_count == 2

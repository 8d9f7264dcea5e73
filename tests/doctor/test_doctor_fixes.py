"""What is safe to mend is mended, under the lease; no result is deleted."""

import re
import shlex

import doctor_helpers as do
import pytest
from doctor_helpers import PACK, contents, values

import raysweep
from raysweep.cli.main import main
from raysweep.store.files import Files

MENDED = [  # nothing is lost
    do.cut_merge,
    do.merge_without_plan,
    do.orphan_curves,
    do.killed_writer,
    do.second_row,
    do.steps_of_two_packs,
    do.broken_search,
    do.broken_again,
    do.broken_attempt,
    do.broken_decisions,
    do.broken_removal,
]
LOST = [do.flipped_rows, do.merge_without_rows]
DAMAGES = [do.truncated_curves, *LOST, do.orphan_curves, do.broken_search, do.broken_attempt]
by_name = {"ids": lambda each: each.__name__}


@pytest.mark.parametrize("damage", MENDED, **by_name)
def test_what_can_be_mended_is_and_no_run_changes(ended, doctor, damage):
    before, curves = values(ended), ended.curves().num_rows
    damage(ended)
    assert doctor("toys", "--fix")[0] == 0
    assert (values(ended), ended.curves().num_rows) == (before, curves)
    assert "toys: healthy" in doctor("toys")[1]


@pytest.mark.parametrize("damage", LOST, **by_name)
def test_rows_that_are_lost_train_again_to_the_same_numbers(ended, doctor, damage):
    before = values(ended)
    damage(ended)
    code, out, _ = doctor("toys", "--fix")
    assert code == 0
    assert "`raysweep run FILE` trains" in out
    raysweep.run(do.SPEC, store=ended.store.uri, inline=True)
    assert values(ended) == before
    assert "toys: healthy" in doctor("toys")[1]


@pytest.mark.parametrize("damage", [do.truncated_curves, do.no_curves, do.fewer_steps], **by_name)
def test_curves_that_are_lost_come_back_by_the_command_that_is_said(ended, doctor, damage):
    before = ended.curves().num_rows
    damage(ended)
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    (condition,) = re.findall(r'wrong .*--again "(.*?)"', out)
    raysweep.run(do.SPEC, store=ended.store.uri, inline=True, again=condition)
    assert ended.curves().num_rows == before
    assert doctor("toys")[0] == 0


def test_one_of_two_runs_of_a_pack_without_curves_is_named_alone(ended, doctor):
    name = do.first(ended, "curves")
    table = ended.files.read_table(name)
    run_id = table["run_id"][0].as_py()
    ended.files.write_table(name, table.filter(do.pc.not_equal(table["run_id"], run_id)))
    assert f"--again \"run_id in ('{run_id}')\"" in doctor("toys")[1]


@pytest.mark.parametrize("damage", DAMAGES, **by_name)
def test_what_is_damaged_is_kept(ended, doctor, damage):
    damage(ended)
    before = contents(ended.files.root)
    doctor("toys", "--fix")
    after = contents(ended.files.root)
    assert set(before.values()) <= set(after.values())
    assert any(name.startswith("damaged/") for name in after)


@pytest.mark.parametrize("damage", [do.broken_manifest, do.broken_state, do.missing_state])
def test_a_damaged_checkpoint_is_set_aside_and_its_pack_trains_anew(cut, doctor, damage):
    damage(cut)
    code, out, _ = doctor("cut", "--fix")
    assert code == 0
    assert "`raysweep run FILE` trains the pack" in out
    assert cut.files.folders("checkpoints") == []


def test_the_checkpoint_of_a_pack_that_ended_is_removed(cut, doctor):
    do.rows_of_pack_in_flight(cut)
    doctor("cut", "--fix")
    assert cut.files.folders("checkpoints") == []


def test_a_state_without_a_manifest_is_kept_in_damaged(ended, doctor):
    do.state_alone(ended)
    assert doctor("toys", "--fix")[0] == 0
    assert ended.files.read(f"damaged/checkpoints/{PACK}/state-5-2.pt") == b"a state"


def test_a_removal_that_was_cut_off_is_ended(ended, doctor):
    before = values(ended)
    do.cut_removal(ended)
    assert doctor("toys", "--fix")[0] == 0
    assert set(values(ended)) < set(before)
    assert len(values(ended)) == len(before) - 1


def test_a_merge_that_was_cut_off_is_ended_and_not_given_up(ended, doctor):
    do.cut_merge(ended, 4)
    code, out, _ = doctor("toys", "--fix")
    assert code == 0
    assert "mended  merging: a merge of rows was interrupted; mended: it is completed" in out
    assert len(do.names(ended, "runs")) == 1


def test_failed_rows_get_files_of_their_own(ended, doctor):
    do.failed_among_others(ended)
    assert doctor("toys", "--fix")[0] == 0
    (failed,) = [run_id for run_id, status, _ in values(ended) if status == "failed"]
    assert f"runs/{failed}.parquet" in do.names(ended, "runs")


def test_steps_of_two_packs_stay_in_the_pack_that_ended_the_run(ended, doctor):
    before = ended.curves().sort_by([("run_id", "ascending"), ("step", "ascending")])
    do.steps_of_two_packs(ended)
    doctor("toys", "--fix")
    after = ended.curves().sort_by([("run_id", "ascending"), ("step", "ascending")])
    assert after.equals(before)


def test_several_things_are_mended_at_once(ended, doctor):
    for damage in (do.killed_writer, do.broken_again, do.broken_search, do.flipped_rows):
        damage(ended)
    code, out, _ = doctor("toys", "--fix")
    assert code == 0
    assert out.count("  mended  ") >= 4


def test_mending_leaves_no_lease(ended, doctor):
    do.killed_writer(ended)
    doctor("toys", "--fix")
    assert not ended.files.exists("lease")


def test_a_healthy_sweep_is_not_touched_by_fix(ended, doctor):
    before = contents(ended.files.root)
    assert doctor("toys", "--fix")[0] == 0
    assert contents(ended.files.root) == before


def test_what_is_said_of_a_mended_file_is_shown_not_obeyed(ended, doctor):
    ended.files.write("again.json", b'"\\u001b]0;owned\\u0007"')
    ended.files.write("checkpoints/a\u202eb/manifest.json", b"{")
    code, out, err = doctor("toys", "--fix")
    assert code == 0
    assert not re.search("[\x1b\x07\u202e]", out + err)


def test_a_file_that_cannot_be_set_aside_is_said(ended, doctor):
    do.broken_search(ended)
    ended.files.write("damaged", b"")  # no folder
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    assert "  wrong   search.json: could not be fixed: cannot write " in out


def test_the_command_that_is_said_is_one_of_the_program(ended, doctor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    do.no_curves(ended)
    (command,) = re.findall(r"`(raysweep run FILE --again .*?)`", doctor("toys")[1])
    ended.files.filesystem.copy_file(ended.files.path("sweep.yaml"), str(tmp_path / "FILE"))
    arguments = shlex.split(command)[1:]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--inline", "--store", Files(ended.store.uri).uri])
    assert caught.value.code == 0

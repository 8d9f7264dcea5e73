"""Everything that may be wrong with a sweep is said, without a change to the store."""

import re

import doctor_helpers as do
import pytest
from doctor_helpers import PACK, contents

ENDED = {
    do.flipped_rows: r"runs/\w+\.parquet: damaged \(rows of ended runs\): expected .* Parquet file",
    do.truncated_curves: r"curves/\w+-5\.parquet: damaged \(curves\): .*--again \"pack_id in",
    do.no_curves: r"curves: 2 ended runs without curves: \w+, \w+; .*--again \"pack_id in",
    do.fewer_steps: r"curves: 2 ended runs with steps missing in the curves: .*--again",
    do.broken_attempt: rf"attempts/{PACK}-1\.parquet: damaged \(a failed attempt\)",
    do.broken_decisions: r"decisions/0+\.parquet: damaged \(decisions of early stopping\)",
    do.broken_search: r"search\.json: damaged \(the state of the samplers\)",
    do.broken_again: r"again\.json: damaged \(configurations to train again\)",
    do.broken_removal: r"removing/plan\.parquet: damaged \(runs to be removed\)",
    do.cut_removal: r"removing: a removal of runs was interrupted; with --fix it is completed",
    do.cut_merge: r"merging: a merge of rows was interrupted; with --fix it is completed",
    do.merge_without_rows: r"merging: cannot complete the merge .*missing runs/\w+.*are moved to",
    do.merge_without_plan: r"merging: a merge .*merging/plan\.json is damaged: expected the plan",
    do.orphan_curves: rf"curves: 1 file of packs that have neither .*curves/{PACK}-5\.parquet",
    do.state_alone: rf"checkpoints/{PACK}: a state without a manifest",
    do.killed_writer: rf"hidden files: 1 unfinished .* 4 B: runs/\.{PACK}\.parquet\.0+; with --fix",
    do.second_row: r"runs: more than one row of 1 run: \w+; with --fix the row of the last",
    do.failed_among_others: r"runs: 1 failed run with a row in a file of another name",
    do.steps_of_two_packs: r"curves: steps of 2 runs exist in the files of two packs: \w+, \w+",
}
CUT = {
    do.broken_manifest: r"checkpoints/\w+/manifest\.json: damaged \(the checkpoint of a pack\)",
    do.broken_state: r"checkpoints/\w+/state-24-4\.pt: damaged .*got .* another digest",
    do.missing_state: r"checkpoints/\w+/state-24-4\.pt: damaged .*got no such file",
    do.rows_of_pack_in_flight: r"checkpoints/\w+: the checkpoint of a pack whose runs have all",
}


def cases(table):
    return pytest.mark.parametrize(
        ("damage", "said"), table.items(), ids=[each.__name__ for each in table]
    )


def wrong(output):
    return [line for line in output.splitlines() if line.startswith("  wrong")]


@cases(ENDED)
def test_what_is_wrong_with_an_ended_sweep_is_one_line(ended, doctor, damage, said):
    damage(ended)
    _, out, _ = doctor("toys")
    (line,) = wrong(out)
    assert re.search(said, line)


@cases(CUT)
def test_what_is_wrong_with_a_stopped_sweep_is_one_line(cut, doctor, damage, said):
    damage(cut)
    _, out, _ = doctor("cut")
    (line,) = wrong(out)
    assert re.search(said, line)


@pytest.mark.parametrize("damage", ENDED, ids=lambda each: each.__name__)
def test_looking_changes_nothing_and_ends_with_exit_code_1(ended, doctor, damage):
    damage(ended)
    before = contents(ended.files.root)
    assert doctor("toys")[0] == 1
    assert contents(ended.files.root) == before


def test_a_healthy_sweep_is_said_to_be_healthy(ended, doctor):
    code, out, _ = doctor("toys")
    assert (code, out) == (0, "toys: healthy (4 files of rows, 0 unfinished packs, no driver)\n")


@pytest.mark.parametrize("sweep", ["cut", "ended", "judged", "sought"])
def test_stopped_failed_and_judged_sweeps_are_healthy(cut, doctor, sweep):
    assert doctor(sweep)[0] == 0


@pytest.mark.parametrize("sweep", ["cut", "judged", "sought"])
def test_a_sweep_of_an_older_format_is_healthy(old, doctor, sweep):
    assert doctor(sweep)[0] == 0


def test_failed_rows_as_an_older_format_has_them_are_mended(old, doctor):
    assert doctor("ended")[0] == 1
    code, out, _ = doctor("ended", "--fix")
    assert code == 0
    assert "mended  runs: 2 failed runs with a row in a file of another name" in out


def test_a_young_hidden_file_is_left_to_its_writer(ended, doctor):
    do.killed_writer(ended)
    do.aged(ended.files.path(f"runs/.{PACK}.parquet.{do.HEX}"), 0)
    assert doctor("toys")[0] == 0


def test_files_that_were_set_aside_are_a_note(ended, doctor):
    ended.files.write("damaged/runs/x.parquet", b"")
    code, out, _ = doctor("toys")
    assert code == 0
    assert "  note    damaged: 1 damaged file, which nothing reads: damaged/runs/x.par" in out


@pytest.mark.parametrize("name", ["missing", "damaged"])
def test_a_sweep_without_a_readable_spec_is_looked_at(ended, doctor, name):
    ended.files.remove("spec.json")
    if name == "damaged":
        ended.files.write("spec.json", b"[]")
    code, out, _ = doctor("toys", "--fix")
    assert code == 1
    (line,) = wrong(out)
    assert f"spec.json: {name}" in line
    assert "`raysweep run FILE` rewrites it" in line


def test_a_row_of_an_unknown_status_is_said(ended, doctor):
    name = do.first(ended, "runs")
    table = ended.files.read_table(name)
    place = table.column_names.index("status")
    odd = table.set_column(place, table.schema.field(place), do.pa.array(["odd\x1b[1m"] * 2))
    ended.files.write_table(name, odd)
    code, out, _ = doctor("toys")
    assert code == 1
    assert f"{name}: damaged (rows of ended runs): expected rows that each have a run_id" in out


def test_damaged_curves_of_a_foreign_name_have_no_command_that_trains_them_anew(ended, doctor):
    ended.files.write("curves/notes.parquet", b"PAR1 and no more")
    _, out, _ = doctor("toys")
    (line,) = wrong(out)
    assert line.startswith("  wrong   curves/notes.parquet: damaged (curves)")
    assert "--again" not in line


def test_a_file_of_rows_with_other_columns_is_said(ended, doctor):
    ended.files.write_table(f"runs/{PACK}.parquet", do.pa.table({"a": [1]}))
    code, out, _ = doctor("toys")
    assert code == 1
    assert "expected the columns that raysweep writes, got no column 'run_id'" in out

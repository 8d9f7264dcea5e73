"""Damaged results are set aside and named, and their runs are trained anew; nothing is removed."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_helpers import cut_merge, flipped

import raysweep
from raysweep.cli.main import main
from raysweep.errors import DamagedFile
from raysweep.store import (
    again_file,
    compaction,
    curve_files,
    digest_check,
    pack_sizes,
    schema,
    unique_rows,
)
from raysweep.store.files import Files
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

SWEEP = {
    "name": "harmed",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 3,
    "resources": {"pack": 2},
}
ADVICE = "run the sweep file again: it moves the file to damaged/"


def run(folder):
    return raysweep.run(SWEEP, store=folder, inline=True)


@pytest.fixture
def ran(tmp_path):
    """A finished sweep's store: six runs in three packs."""
    return run(tmp_path).store


def values(store):
    return {row["run_id"]: row["metric.train_loss"] for row in store.runs().to_pylist()}


def damage(store, folder):
    """Flips a bit in a file of a folder; its name."""
    name = store.files.names(folder, ".parquet")[0]
    Path(store.files.path(name)).write_bytes(flipped(store.files.read(name), 8000))
    return name


def test_rows_that_are_damaged_are_set_aside_and_their_runs_train_anew(ran, tmp_path, caplog):
    whole, name = values(ran), damage(ran, "runs")
    assert values(run(tmp_path).store) == whole
    assert ran.files.names("damaged/runs") == [f"damaged/{name}"]
    assert f"{name} is damaged and was moved to damaged/{name}; its runs" in caplog.text


FOREIGN = {
    "nothing of ours": {"a": [1]},
    "ids that are numbers": {"run_id": [7]},
    "statuses that are numbers": {"status": [1]},
    "seeds that are texts": {"seed": ["0"]},
    "metrics that are texts": {"metric.train_loss": ["0.5"]},
    "an unknown status": {"status": ["lost"]},
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_rows_of_a_stranger_change_no_row_of_ours(ran, tmp_path, change):
    name = ran.files.names("runs", ".parquet")[0]
    before = {each: ran.files.read(each) for each in ran.files.names("runs")}
    if "a" in change:
        foreign = pa.table(change)
    else:
        (column,) = change
        own = ran.files.read_table(name).slice(0, 1)
        place = own.column_names.index(column)
        foreign = own.set_column(place, column, pa.array(change[column]))
    pq.write_table(foreign, ran.files.path("runs/extra.parquet"))
    run(tmp_path)
    assert {each: ran.files.read(each) for each in ran.files.names("runs")} == before
    assert ran.files.names("damaged/runs") == ["damaged/runs/extra.parquet"]


@pytest.mark.parametrize("command", ["status", "table", "plan"])
def test_rows_of_a_stranger_are_named_by_commands_that_read(ran, tmp_path, command, capsys):
    pq.write_table(pa.table({"a": [1]}), ran.files.path("runs/0extra.parquet"))
    spec = tmp_path / "harmed.yaml"
    spec.write_bytes(ran.files.read("sweep.yaml"))
    with pytest.raises(SystemExit) as ended:
        main([command, str(spec) if command == "plan" else "harmed", "--store", str(tmp_path)])
    assert ended.value.code == 1
    assert "runs/0extra.parquet: expected the columns that raysweep" in capsys.readouterr().err


def test_curves_of_a_stranger_change_no_curve_of_ours(ran, tmp_path):
    before = {each: ran.files.read(each) for each in ran.files.names("curves")}
    foreign = pa.table({"run_id": ["a"], "step": ["5"], "train_loss": ["0.5"]})
    pq.write_table(foreign, ran.files.path("curves/extra.parquet"))
    run(tmp_path)
    assert {each: ran.files.read(each) for each in ran.files.names("curves")} == before


def test_of_two_good_rows_of_a_run_readers_see_one(ran):
    name = ran.files.names("runs", ".parquet")[0]
    ran.files.write("runs/0123456789abcdef.parquet", ran.files.read(name))
    assert ran.runs().num_rows == ran.count("runs") == 6
    found = raysweep.open(ran.store.uri, "harmed").sql("select count(*) as n from runs")
    assert found["n"].to_pylist() == [6]


def test_runs_that_train_anew_have_each_row_of_their_curves_once(ran, tmp_path):
    before = ran.curves().num_rows
    damage(ran, "runs")
    assert run(tmp_path).store.curves().num_rows == before


def test_a_file_that_is_damaged_twice_is_kept_twice(ran, tmp_path):
    for _ in range(2):
        damage(ran, "runs")
        run(tmp_path)
    assert len(ran.files.names("damaged/runs")) == 2


def test_curves_that_are_damaged_are_set_aside_and_the_way_to_train_anew_is_said(
    ran, tmp_path, caplog
):
    whole, name = values(ran), damage(ran, "curves")
    pack_id = name.removeprefix("curves/").partition("-")[0]
    results = run(tmp_path)
    assert values(results.store) == whole
    assert ran.files.exists(f"damaged/{name}")
    assert "the curves of 2 runs are lost" in caplog.text
    assert f"raysweep run FILE --again \"pack_id in ('{pack_id}')\"" in caplog.text
    assert len(set(results.curves()["run_id"].to_pylist())) == 4


@pytest.mark.parametrize("command", ["status", "table", "sql", "plan"])
def test_reading_commands_name_the_file_in_one_line_and_change_nothing(
    ran, tmp_path, command, capsys
):
    name = damage(ran, "runs")
    spec = tmp_path / "harmed.yaml"
    spec.write_bytes(ran.files.read("sweep.yaml"))
    words = [command, str(spec) if command == "plan" else "harmed"]
    words += ["select * from runs"] if command == "sql" else []
    with pytest.raises(SystemExit) as ended:
        main([*words, "--store", str(tmp_path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert name in line
    assert ADVICE in line
    assert ran.files.exists(name)


@pytest.mark.parametrize(
    "words",
    [["sql", "harmed", "select sum(steps) from runs"], ["table", "harmed", "--where", "steps > 3"]],
    ids=" ".join,
)
def test_damage_that_a_query_meets_is_the_file_s_and_not_the_query_s(
    ran, tmp_path, words, capsys, monkeypatch
):
    """Of files that are too many or too large no digest is checked before they are read."""
    name = ran.files.names("runs", ".parquet")[0]
    path = Path(ran.files.path(name))
    rows = pq.read_metadata(path).row_group(0)
    (steps,) = (
        rows.column(place)
        for place in range(rows.num_columns)
        if rows.column(place).path_in_schema == "steps"
    )
    last = steps.dictionary_page_offset + steps.total_compressed_size - 1
    path.write_bytes(flipped(path.read_bytes(), 8 * last))
    monkeypatch.setattr(digest_check, "MOST_FILES", 0)
    monkeypatch.setattr(unique_rows, "one_row_per_run", lambda dataset: dataset)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--store", str(tmp_path)])
    assert ended.value.code == 1
    assert name in capsys.readouterr().err


def no_spec(store):
    store.files.write("spec.json", b"{")


def merge_without_rows(store):
    cut_merge(store, 4)
    for name in (compaction.ROWS, *store.files.names("runs")):
        store.files.remove(name)


@pytest.mark.parametrize(
    "harm",
    [
        lambda store: damage(store, "runs"),
        no_spec,
        lambda store: store.files.remove("spec.json"),
        merge_without_rows,
    ],
    ids=["rows", "spec", "no spec", "merge"],
)
def test_a_damaged_sweep_can_be_removed(ran, tmp_path, capsys, harm):
    harm(ran)
    with pytest.raises(SystemExit) as ended:
        main(["rm", "harmed", "--yes", "--store", str(tmp_path)])
    assert ended.value.code == 0
    assert not Path(ran.files.root).exists()


@pytest.mark.parametrize("folder", ["attempts", "decisions"])
def test_other_tables_that_are_damaged_are_set_aside(ran, tmp_path, folder):
    ran.files.write(f"{folder}/00000000.parquet", b"PAR1 and no more")
    run(tmp_path)
    assert ran.files.names(f"damaged/{folder}") == [f"damaged/{folder}/00000000.parquet"]


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"3", b"[" * 100_000, b"\xff", b"{}"])
@pytest.mark.parametrize("name", ["spec.json", "merging/plan.json"])
def test_json_of_another_shape_is_named_in_one_line_and_mended(ran, tmp_path, name, data):
    ran.files.write(name, data)
    with pytest.raises(DamagedFile, match=f"{name}: expected .* as raysweep writes it, got: "):
        raysweep.open(tmp_path, "harmed").runs()
    assert len(values(run(tmp_path).store)) == 6


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"3", b"[" * 100_000, b"\xff", b'{"0123456789abcdef": 7}', b'{"sha256": "0"}'],
)
def test_damaged_notes_of_what_was_to_be_trained_anew_are_set_aside(ran, tmp_path, data, caplog):
    ran.files.write(again_file.NAME, data)
    run(tmp_path)
    assert ran.files.read(f"damaged/{again_file.NAME}") == data
    assert "again.json; a search no longer knows which configurations" in caplog.text


def test_notes_of_what_was_to_be_trained_anew_come_back(tmp_path):
    files, noted = Files(tmp_path), {"0123456789abcdef": {"training.lr": 0.1, "task.sizes": [3, 4]}}
    again_file.write(files, noted)
    assert again_file.read(files) == noted


@pytest.mark.parametrize("data", [b"", b"[]", b'{"cpu": {"size": 1}}', b'{"sha256": "0"}'])
def test_damaged_sizes_of_packs_are_set_aside_and_measured_again(ran, tmp_path, data, caplog):
    ran.files.write(pack_sizes.NAME, data)
    run(tmp_path)
    assert ran.files.read(f"damaged/{pack_sizes.NAME}") == data
    assert "pack_sizes.json; sizes of packs are measured again" in caplog.text


def test_notes_of_an_earlier_version_have_no_digest(tmp_path):
    files, noted = Files(tmp_path), {"0123456789abcdef": {"training.lr": 0.1}}
    files.write(again_file.NAME, json.dumps(noted).encode())
    assert again_file.read(files) == noted


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"[" * 100_000, b"{}"])
def test_a_manifest_of_another_shape_is_set_aside(ran, tmp_path, data):
    ran.files.write("checkpoints/0123456789abcdef/manifest.json", data)
    run(tmp_path)
    assert ran.files.exists("damaged/checkpoints/0123456789abcdef/manifest.json")
    assert ran.files.folders("checkpoints") == []


# Curves that nothing owns.


def orphan(store, pack_id):
    """Copies curves to a pack that is not in the store."""
    name = store.files.names("curves", ".parquet")[0]
    copy = f"curves/{pack_id}-5.parquet"
    store.files.write(copy, store.files.read(name))
    return copy


def test_curves_of_a_pack_without_rows_or_checkpoint_are_set_aside(ran, caplog):
    names = ran.files.names("curves", ".parquet")
    name = orphan(ran, "0123456789abcdef")
    assert curve_files.set_orphans_aside(ran.files) == 1
    assert ran.files.names("curves", ".parquet") == names
    assert ran.files.exists(f"damaged/{name}")
    assert "1 file of curves of packs that have neither rows nor" in caplog.text


def test_curves_of_rows_that_are_damaged_are_kept_with_them(ran, tmp_path):
    pack_id = damage(ran, "runs").removeprefix("runs/").removesuffix(".parquet")
    kept = [name for name in ran.files.names("curves", ".parquet") if pack_id in name]
    run(tmp_path)
    assert kept
    assert ran.files.names("damaged/curves") == [f"damaged/{name}" for name in kept]


def test_curves_of_a_pack_in_flight_stay(ran):
    name = orphan(ran, "0123456789abcdef")
    ran.files.write("checkpoints/0123456789abcdef/manifest.json", b"{}")
    assert curve_files.set_orphans_aside(ran.files) == 0
    assert ran.files.exists(name)


def test_curves_of_packs_whose_rows_were_merged_stay(ran):
    rows = ran.runs()
    for name in ran.files.names("runs", ".parquet"):
        ran.files.remove(name)
    ran.files.write_table("runs/0123456789abcdef.parquet", rows)
    assert curve_files.set_orphans_aside(ran.files) == 0


def test_files_of_curves_with_other_names_stay(ran):
    ran.files.write("curves/mine.parquet", ran.files.read(ran.files.names("curves")[0]))
    assert curve_files.set_orphans_aside(ran.files) == 0


def test_an_older_file_is_read_whole_before_a_session(tmp_path):
    store = SweepStore(str(tmp_path), "harmed")
    store.prepare(read_spec(SWEEP))

    Path(store.files.path("runs")).mkdir()
    path = Path(store.files.path("runs/0123456789abcdef.parquet"))
    row = {"run_id": "a" * 16, "status": "done", "task": "walk", "estimator": "ST"}
    rows = schema.rows_table([row] * 1000, schema.runs_schema(read_spec(SWEEP)))
    pq.write_table(rows, path, compression="zstd")
    path.write_bytes(path.read_bytes()[:8] + b"\xff" * 8 + path.read_bytes()[16:])
    store.prepare(read_spec(SWEEP))
    assert store.files.exists("damaged/runs/0123456789abcdef.parquet")

"""No name that a store holds, and no link in it, leads out of the sweep's folder."""

import json
import os

import pyarrow as pa
import pytest

import raysweep
from raysweep.errors import DamagedFile, StoreError
from raysweep.store import checkpoints, compaction
from raysweep.store.files import Files
from raysweep.store.listing import list_sweeps

SWEEP = {
    "name": "named",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 2,
}


@pytest.fixture
def files(tmp_path):
    """A finished sweep's folder, beside a folder of the user's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("results")
    (tmp_path / "mine" / "row.parquet").write_bytes(b"PAR1")
    return raysweep.run(SWEEP, store=tmp_path / "store", inline=True).store.files


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../x",
        "a/..",
        "..",
        ".",
        "a/./b",
        "/etc/passwd",
        "a//b",
        "a/",
        "a\\b",
        "a\0b",
        "a\n",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_whatever_is_asked(tmp_path, name):
    files = Files(tmp_path)
    for ask in (files.path, files.read, files.exists, files.remove, files.remove_folder):
        with pytest.raises(StoreError, match="expected names of files below"):
            ask(name)
    for write in (files.write, files.create):
        with pytest.raises(StoreError, match="expected names of files below"):
            write(name, b"")


@pytest.mark.parametrize(
    "name", ["a", "a.b", "runs/..a.parquet", "runs/a..b", ".hidden", "Tiny (copy)/x"]
)
def test_other_names_are_taken(tmp_path, name):
    assert Files(tmp_path).path(name) == f"{tmp_path}/{name}"


def plan_of(files, **changed):
    """Writes the plan of a merge that somebody else made up."""
    names = files.names("runs", ".parquet")
    plan = {"target": "runs/0123456789abcdef.parquet", "sources": names, **changed}
    files.write(compaction.PLAN, json.dumps(plan).encode())
    files.write(compaction.ROWS, b"anything")


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": ["../../mine/thesis.txt"]},
        {"sources": ["runs/../../../mine/thesis.txt"]},
        {"sources": ["spec.json"]},
        {"target": "../../mine/thesis.txt"},
        {"target": "sweep.yaml"},
        {"target": "runs/x.parquet"},
        {"sources": "runs/0123456789abcdef.parquet"},
        {"sources": [None]},
    ],
    ids=repr,
)
def test_a_merge_plan_with_other_names_is_damage_and_touches_nothing(files, tmp_path, changed):
    plan_of(files, **changed)
    with pytest.raises(DamagedFile, match=r"merging/plan.json"):
        compaction.end(files)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "results"
    assert len(files.names("runs", ".parquet")) == 1


@pytest.fixture
def manifest(files):
    """Writes the manifest of a pack in flight, with other content; the folder's pack."""

    def write(folder="0123456789abcdef", **changed):
        run = {"run_id": "a" * 16, "configuration_id": "b" * 16, "seed": 0, "settings": {}}
        labels = {"task_label": "walk", "estimator_label": "ST"}
        pack = {"pack_id": folder, "task": "toy", "estimator": "st", "runs": [run | labels]}
        pack |= changed.pop("pack", {})
        data = {"step": 0, "active": [], "ended": [], "executed": 0, "seconds": 0.0}
        data |= {"started_at": "2026-01-01T00:00:00+00:00", "pack": pack, **changed}
        files.write(f"checkpoints/{folder}/manifest.json", json.dumps(data).encode())

    return write


def test_a_manifest_is_read(files, manifest):
    manifest()
    assert [each.pack.pack_id for each in checkpoints.in_flight(files)] == ["0123456789abcdef"]


@pytest.mark.parametrize(
    "changed",
    [
        {"pack": {"pack_id": "../../../mine"}},
        {"pack": {"pack_id": "fedcba9876543210"}},
        {"folder": "mine"},
        {"active": ["../../x"]},
        {"active": ["c" * 16]},
        {"active": [3]},
        {"ended": [{"run_id": "../x"}]},
        {"ended": [3]},
        {"step": "../../x"},
        {"step": -1},
        {"executed": None},
    ],
    ids=repr,
)
def test_a_manifest_with_other_names_is_damage(files, manifest, changed):
    manifest(**changed)
    with pytest.raises(DamagedFile, match=r"manifest.json"):
        checkpoints.in_flight(files)


@pytest.mark.parametrize("folder", ["runs", "curves"])
def test_a_folder_that_is_a_link_out_is_not_followed(files, tmp_path, folder):
    files.remove_folder(folder)
    os.symlink(tmp_path / "mine", files.path(folder))
    for ask in (files.names, files.infos):
        with pytest.raises(StoreError, match=f"{folder}, a link that leads to .*mine"):
            ask(folder)
    for change in (files.remove, lambda name: files.write(name, b"new")):
        with pytest.raises(StoreError, match=f"{folder}, a link that leads to"):
            change(f"{folder}/thesis.txt")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "results"


def test_a_file_that_is_a_link_out_is_not_read(files, tmp_path):
    os.symlink(tmp_path / "mine" / "row.parquet", files.path("runs/0123456789abcdef.parquet"))
    for ask in (files.read, files.exists, files.read_table, files.read_schema):
        with pytest.raises(StoreError, match=r"a link that leads to .*row.parquet"):
            ask("runs/0123456789abcdef.parquet")
    with pytest.raises(StoreError, match=r"a link that leads to .*row.parquet"):
        files.names("runs", ".parquet")


def test_a_link_is_replaced_and_its_target_stays(files, tmp_path):
    os.symlink(tmp_path / "mine" / "thesis.txt", files.path("sweep.yaml.link"))
    files.write("sweep.yaml.link", b"new")
    assert files.read("sweep.yaml.link") == b"new"
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "results"


def test_a_checkpoint_that_is_a_link_is_removed_and_its_target_stays(files, tmp_path):
    os.makedirs(files.path("checkpoints"), exist_ok=True)
    os.symlink(tmp_path / "mine", files.path("checkpoints/0123456789abcdef"))
    checkpoints.Checkpoints(files, "0123456789abcdef").remove()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "results"
    assert not os.path.lexists(files.path("checkpoints/0123456789abcdef"))


def test_links_within_the_sweep_are_followed(files):
    name = files.names("runs", ".parquet")[0]
    os.rename(files.path(name), files.path("elsewhere.parquet"))
    os.symlink(files.path("elsewhere.parquet"), files.path(name))
    assert files.read_table(name).num_rows == 2


def test_the_folder_of_a_sweep_may_be_a_link(files, tmp_path):
    os.rename(files.root, tmp_path / "disk")
    os.symlink(tmp_path / "disk", files.root)
    assert list_sweeps(Files(tmp_path / "store")) == ["named"]
    results = raysweep.run({**SWEEP, "seeds": 3}, store=tmp_path / "store", inline=True)
    assert results.runs().num_rows == 3


def test_digests_of_rows_are_no_part_of_the_schema(files):
    table = pa.table({"x": [1]})
    files.write_table("runs/a.parquet", table)
    for schema in (files.read_schema("runs/a.parquet"), files.read_table("runs/a.parquet").schema):
        assert schema.equals(table.schema, check_metadata=True)

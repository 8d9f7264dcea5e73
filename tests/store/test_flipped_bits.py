"""One flipped bit in a file of results or a checkpoint is found, or changes nothing."""

import contextlib
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from store_helpers import flipped

from raysweep.errors import DamagedFile
from raysweep.store import compaction, integrity, spec_file
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.format import FORMAT
from raysweep.store.sweep_store import SweepStore

STORES = Path(__file__).parent.parent / "assets" / "stores" / str(FORMAT)
FLIPS = 200


@pytest.fixture
def asset(tmp_path):
    """A copy of a sweep that the tests keep."""

    def copy(name):
        shutil.copytree(STORES / name, tmp_path / name)
        return SweepStore(str(tmp_path), name)

    return copy


def flips(store, name, read):
    """Flips bits one by one; the values that a reader got where it found nothing wrong.

    Args:
        store: The sweep.
        name: Name of the file.
        read: Function that reads it by its public reader, with a store as nobody has read it yet.
    """
    data, chance = store.files.read(name), random.Random(name)
    path, found = Path(store.files.path(name)), []
    for bit in chance.sample(range(8 * len(data)), FLIPS):
        path.write_bytes(flipped(data, bit))
        with contextlib.suppress(DamagedFile):
            found.append(read(SweepStore(store.store.uri, store.sweep)))
    path.write_bytes(data)
    return found


@pytest.mark.parametrize(
    ("sweep", "folder", "read"),
    [
        ("judged", "runs", lambda store: store.runs()),
        ("judged", "curves", lambda store: store.curves()),
        ("ended", "attempts", lambda store: store.attempts()),
    ],
    ids=["rows", "curves", "attempts"],
)
def test_a_bit_in_results_is_found_or_without_effect(asset, sweep, folder, read):
    store = asset(sweep)
    whole = read(store)
    (name, *_) = store.files.names(folder, ".parquet")
    found = flips(store, name, read)
    assert len(found) < FLIPS / 10
    assert all(each.equals(whole) and each.schema.equals(whole.schema) for each in found)


@pytest.mark.parametrize("folder", ["runs", "curves"])
def test_a_bit_in_the_pages_of_results_is_found_where_digests_are_not_looked_at(
    asset, folder, monkeypatch
):
    monkeypatch.setattr("raysweep.store.digest_check.MOST_FILES", -1)
    store = asset("judged")
    (name,) = store.files.names(folder, ".parquet")
    read = SweepStore.runs if folder == "runs" else SweepStore.curves
    data, whole = store.files.read(name), read(store)
    pages = len(data) - int.from_bytes(data[-8:-4], "little") - 8
    for bit in random.Random(folder).sample(range(8 * pages), FLIPS):
        Path(store.files.path(name)).write_bytes(flipped(data, bit))
        with contextlib.suppress(DamagedFile):
            assert read(store).equals(whole)


def restored(store):
    """What a pack would resume from."""
    (pack_id,) = store.files.folders("checkpoints")
    checkpoint = Checkpoints(store.files, pack_id)
    manifest = checkpoint.manifest()
    return manifest.to_json(), checkpoint.state(manifest, torch.device("cpu"))


def same(one, other):
    return one[0] == other[0] and pa.py_buffer(repr(one[1]).encode()) == pa.py_buffer(
        repr(other[1]).encode()
    )


@pytest.mark.parametrize("suffix", [".pt", "manifest.json"], ids=["state", "manifest"])
def test_a_bit_in_a_checkpoint_is_found_or_without_effect(asset, suffix):
    store = asset("cut")
    whole = restored(store)
    (pack_id,) = store.files.folders("checkpoints")
    (name,) = store.files.names(f"checkpoints/{pack_id}", suffix)
    found = flips(store, name, restored)
    assert len(found) < FLIPS / 10
    assert all(same(each, whole) for each in found)


def test_a_bit_in_a_state_of_an_older_version_is_found_by_its_archive(asset):
    store = asset("cut")
    (pack_id,) = store.files.folders("checkpoints")
    checkpoint = Checkpoints(store.files, pack_id)
    manifest = checkpoint.manifest()
    (name,) = store.files.names(f"checkpoints/{pack_id}", ".pt")
    import dataclasses

    older = dataclasses.replace(manifest, state_sha256=None)
    whole = checkpoint.state(older, torch.device("cpu"))

    def read(again):
        return Checkpoints(again.files, pack_id).state(older, torch.device("cpu"))

    assert all(repr(each) == repr(whole) for each in flips(store, name, read))


def test_verification_finds_what_is_damaged_and_only_that(asset):
    store = asset("judged")
    assert integrity.verify(store.files) == []
    for folder in ("runs", "curves", "decisions"):
        name = store.files.names(folder, ".parquet")[0]
        Path(store.files.path(name)).write_bytes(flipped(store.files.read(name), 4000))
    store.files.write("spec.json", b"[]")
    store.files.write(compaction.PLAN, b"null")
    found = integrity.verify(store.files)
    assert [each.kind for each in found] == [
        "curves",
        "decisions of early stopping",
        "a merge of rows",
        "rows of ended runs",
        "the sweep's spec",
    ]
    assert all(each.name in each.reason for each in found)


@pytest.mark.parametrize("suffix", [".pt", "manifest.json"])
def test_verification_reads_checkpoints(asset, suffix):
    store = asset("cut")
    assert integrity.verify(store.files) == []
    (pack_id,) = store.files.folders("checkpoints")
    (name,) = store.files.names(f"checkpoints/{pack_id}", suffix)
    Path(store.files.path(name)).write_bytes(flipped(store.files.read(name), 4000))
    (found,) = integrity.verify(store.files)
    assert (found.name, found.kind) == (name, "the checkpoint of a pack")
    assert integrity.set_aside(store.files, name) == f"damaged/checkpoints/{pack_id}"
    assert integrity.verify(store.files) == []


def test_a_bit_in_a_spec_is_found_or_without_effect(asset):
    store = asset("ended")
    spec_file.write(store.files, store.spec())
    whole = store.spec().to_json()
    found = flips(store, spec_file.NAME, lambda each: each.spec().to_json())
    assert [each for each in found if each != whole] == []

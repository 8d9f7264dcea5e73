"""Folders and buckets do what raysweep relies on, and a store that does not is found out."""

import pytest
from bucket_server import Bucket

from raysweep.errors import StoreError
from raysweep.store.files import Files
from raysweep.testing import stores


@pytest.fixture(params=["folder", "URI of a folder", "bucket"])
def store(request, tmp_path, monkeypatch):
    """Path or URI of an empty store."""
    if request.param == "bucket":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with Bucket() as server:
            yield server.uri
    else:
        yield str(tmp_path) if request.param == "folder" else f"file://{tmp_path}"


@pytest.mark.parametrize("case", stores.CASES, ids=lambda case: case.__name__)
def test_a_store_does_what_is_relied_on(store, case):
    stores.check_case(Files(store).below(case.__name__), case)


def test_a_checked_store_holds_nothing_afterwards(store):
    stores.check_store(store)
    assert Files(store).folders() == []


def test_a_store_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="Not a directory"):
        stores.check_store(str(tmp_path / "file"))


BROKEN = {
    "what_was_written_is_read_at_once": {"read": lambda files, name: b"stale"},
    "what_is_not_there_is_none": {"read": lambda files, name: b""},
    "files_are_listed_at_once": {"remove": lambda files, name: None},
    "a_move_replaces_and_leaves_nothing": {"move": lambda files, name, to: None},
    "a_file_is_created_once": {"create": lambda files, name, data: True},
    "readers_see_whole_files": {"read": lambda files, name: stores.FEW[:2]},
    "writers_do_not_disturb_each_other": {"write": lambda files, name, data: None},
    "tables_come_back_equal": {"read_table": lambda files, name: stores.ROWS},
    "a_second_driver_is_refused": {
        "create": lambda files, name, data: True,
        "read": lambda files, name: None,
    },
}


@pytest.mark.parametrize("case", stores.CASES, ids=lambda case: case.__name__)
def test_a_store_that_does_something_else_is_found_out(tmp_path, monkeypatch, case):
    for method, broken in BROKEN[case.__name__].items():
        monkeypatch.setattr(Files, method, broken)
    with pytest.raises(AssertionError, match=f"{case.__name__}: expected "):
        stores.check_case(Files(tmp_path), case)

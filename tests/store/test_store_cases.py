"""Folders and buckets pass the checks of a store, and a store with any fault fails one."""

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


def test_an_error_says_that_a_store_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="Not a directory"):
        stores.check_store(str(tmp_path / "file"))


BROKEN = {
    "check_that_written_files_are_read": {"read": lambda files, name: b"stale"},
    "check_that_missing_files_are_none": {"read": lambda files, name: b""},
    "check_that_written_files_are_listed": {"remove": lambda files, name: None},
    "check_that_moved_files_replace": {"move": lambda files, name, to: None},
    "check_that_files_are_created_once": {"create": lambda files, name, data: True},
    "check_that_readers_see_whole_files": {"read": lambda files, name: stores.FEW[:2]},
    "check_that_writers_do_not_disturb_each_other": {"write": lambda files, name, data: None},
    "check_that_tables_are_read_as_written": {"read_table": lambda files, name: stores.ROWS},
    "check_that_a_second_driver_is_refused": {
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

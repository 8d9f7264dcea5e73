"""Addresses of stores with a slip, and file systems without hard links."""

import errno
import os
from pathlib import Path

import pytest

import raysweep
from raysweep.errors import SpecError, StoreError
from raysweep.store import local_file
from raysweep.store.files import Files
from raysweep.store.uri import right_spelling

SLIPS = {
    "S3://bucket/x": "s3://bucket/x",
    "GS://bucket/x": "gs://bucket/x",
    "s3:/bucket/x": "s3://bucket/x",
    "s3:bucket/x": "s3://bucket/x",
    "s3//bucket/x": "s3://bucket/x",
    "s3:///bucket/x": "s3://bucket/x",
    " s3://bucket/x": "s3://bucket/x",
    "Gs:/bucket": "gs://bucket",
    "File:///tmp/x": "file:///tmp/x",
    "file:/tmp/x": "file:///tmp/x",
    "file://tmp/x": "file:///tmp/x",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_an_address_is_refused_with_the_right_spelling(slip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"^store: expected a path or a URI, got .*; write ") as e:
        Files(slip)
    assert str(e.value).endswith(f"write {SLIPS[slip]!r}")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_turned_an_address_into_a_folder_is_refused():
    with pytest.raises(SpecError, match="write 's3://bucket/x'"):
        Files(Path("s3://bucket/x"))


@pytest.mark.parametrize(
    "address",
    ["sweeps", "./s3:/x", "/data/s3//x", "s3/x", "data:/x", "s3://bucket/x", "hdfs:///x", "~/x"],
)
def test_an_address_without_a_slip_is_kept(address):
    assert right_spelling(address) is None


def test_an_unknown_kind_of_address_is_no_folder():
    with pytest.raises(SpecError, match=r"got http://...: Unrecognized"):
        Files("HTTP://host/x")


def test_a_slip_does_not_show_credentials():
    with pytest.raises(SpecError, match="expected a URI without credentials") as caught:
        Files("S3://key:hidden@bucket/x")
    assert "hidden" not in str(caught.value)


@pytest.fixture
def no_links(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


def test_a_sweep_runs_on_a_file_system_without_hard_links(no_links, tmp_path):
    spec = {
        "name": "linkless",
        "tasks": {"walk": {"task": "toy"}},
        "estimators": {"ST": {"estimator": "straight_through"}},
        "seeds": 1,
    }
    assert raysweep.run(spec, store=tmp_path, inline=True).runs().num_rows == 1


def test_a_file_is_created_once_without_hard_links(no_links, tmp_path):
    assert local_file.create(tmp_path / "x", b"first")
    assert not local_file.create(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_link_that_fails_otherwise_is_an_error(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(StoreError, match=r"cannot write .*: No space left"):
        Files(tmp_path).create("x", b"")

"""The same store in a bucket, over the wire."""

import pytest
from bucket_server import Bucket

import raysweep
from raysweep.errors import StoreError
from raysweep.formats.status import list_text
from raysweep.store import lease
from raysweep.store.files import Files

SWEEP = {
    "name": "away",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 2,
}


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Bucket() as server:
        yield server


def test_a_sweep_in_a_bucket_gives_the_numbers_of_one_in_a_folder(bucket, tmp_path):
    away = raysweep.run(SWEEP, store=bucket.uri, inline=True).runs().to_pylist()
    here = raysweep.run(SWEEP, store=tmp_path, inline=True).runs().to_pylist()
    key = "metric.train_loss"
    assert {row["run_id"]: row[key] for row in away} == {row["run_id"]: row[key] for row in here}


def test_a_sweep_in_a_bucket_is_extended_and_queried(bucket):
    raysweep.run(SWEEP, store=bucket.uri, inline=True)
    results = raysweep.run({**SWEEP, "seeds": 3}, store=bucket.uri, inline=True)
    assert results.sql("select count(*) as n from runs")["n"].to_pylist() == [6]
    assert results.table().cells[0].n == 3


def test_a_bucket_holds_the_files_of_the_contract(bucket):
    raysweep.run(SWEEP, store=bucket.uri, inline=True)
    names = {key.removeprefix("sweeps/away/") for key in bucket.objects if not key.endswith("/")}
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"sweep.yaml", "spec.json", "runs", "curves"}


def test_a_lease_in_a_bucket_refuses_a_second_driver(bucket):
    files = Files(bucket.uri).below("away")
    with lease.Lease(files), pytest.raises(raysweep.LeaseHeld), lease.Lease(files):
        pass


def test_a_sweep_in_a_bucket_can_be_removed(bucket):
    results = raysweep.run(SWEEP, store=bucket.uri, inline=True)
    results.store.remove()
    assert not [key for key in bucket.objects if not key.endswith("/")]


@pytest.mark.parametrize("ask", [lambda uri: raysweep.open(uri, "away"), list_text])
def test_a_bucket_that_is_missing_is_said_to_be(bucket, ask):
    with pytest.raises(StoreError, match=r"cannot list .*: no such bucket: other"):
        ask(bucket.uri.replace("//lab/", "//other/"))


def test_a_bucket_without_sweeps_is_an_empty_store(bucket):
    assert list_text(bucket.uri).startswith("no sweeps in s3://lab/sweeps")

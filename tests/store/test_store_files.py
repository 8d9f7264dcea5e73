"""Files appear whole or not at all, and every reader opens them."""

import json
import os

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

import raysweep
from raysweep.errors import LeaseLost, SpecError, StoreError
from raysweep.store import schema
from raysweep.store.files import Files
from raysweep.store.retry import Patience
from raysweep.store.sweep_store import SweepStore
from raysweep.sweepfile.reader import read_spec

SWEEP = {
    "name": "stored",
    "tasks": {
        "walk": {"task": "toy"},
        "digits": {
            "task": "categorical_vae",
            "dataset": "digits",
            "latents": 2,
            "steps": 4,
            "hidden": {"value": [8]},
        },
    },
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 2,
    "resources": {"pack": 1},
}

COLUMNS = [
    "run_id",
    "sweep",
    "task",
    "estimator",
    "task_name",
    "estimator_name",
    "configuration_id",
    "seed",
    "status",
    "steps",
    "steps_executed",
    "attempts",
    "seconds",
    "pack_id",
    "replicas",
    "device",
    "started_at",
    "version",
    "git_commit",
    "error",
    "definition",
    "git_dirty",
    "torch",
    "python",
    "host",
    "ended_at",
    "code",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return raysweep.run(SWEEP, store=tmp_path_factory.mktemp("store"), inline=True)


def glob(results, folder):
    return f"{results.store.uri}/{folder}/*.parquet"


def test_runs_have_the_columns_of_the_contract_in_order(results):
    found = results.runs().schema
    assert found.names[: len(COLUMNS)] == COLUMNS
    rest = found.names[len(COLUMNS) :]
    assert all(name.startswith(("param.", "metric.")) for name in rest)
    assert {
        "param.training.lr",
        "param.task.hidden",
        "param.estimator.temperature",
        "metric.train_loss",
        "metric.test_neg_elbo",
        "metric.distance",
    } <= set(rest)
    assert (found.field("seed").type, found.field("attempts").type) == (pa.int64(), pa.int32())
    assert found.field("started_at").type == pa.timestamp("us", tz="UTC")


def test_every_file_of_a_sweep_has_the_same_schema(results):
    for folder in ("runs", "curves"):
        names = results.store.files.names(folder, ".parquet")
        assert len({results.store.files.read_schema(name) for name in names}) == 1 < len(names)


def test_columns_that_do_not_apply_are_null(results):
    for row in results.runs().to_pylist():
        assert (row["metric.distance"] is None) == (row["task_name"] != "toy")
        assert (row["param.task.hidden"] is None) == (row["task_name"] == "toy")


def test_lists_are_json_text(results):
    found = {row["param.task.hidden"] for row in results.runs().to_pylist()} - {None}
    assert [json.loads(each) for each in found] == [[8]]


def test_what_a_metric_means_is_in_the_file(results):
    meaning = schema.metric_meanings(results.runs().schema)
    assert meaning["distance"] == {
        "direction": "max",
        "unit": "m",
        "meaning": "distance from the origin",
    }


@pytest.mark.parametrize("folder", ["runs", "curves"])
def test_pandas_polars_and_duckdb_read_a_plain_glob(results, folder):
    ours = (results.runs() if folder == "runs" else results.curves()).num_rows
    path = glob(results, folder)
    assert len(pandas.read_parquet(os.path.dirname(path))) == ours
    assert polars.read_parquet(path).height == ours
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(ours,)]


def test_a_write_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    files = Files(tmp_path)
    files.write_table("runs/a.parquet", pa.table({"x": [1]}))

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        files.write_table("runs/a.parquet", pa.table({"x": [2]}))
    assert files.read_table("runs/a.parquet").to_pydict() == {"x": [1]}
    assert [each.name for each in (tmp_path / "runs").iterdir()] == ["a.parquet"]


def test_a_torn_file_is_named_with_what_to_do(tmp_path):
    files = Files(tmp_path)
    files.write("runs/a.parquet", b"PAR1torn")
    with pytest.raises(StoreError, match=r"cannot read .*a.parquet: .*moves the file to damaged/"):
        files.read_table("runs/a.parquet")


def test_create_is_exclusive(tmp_path):
    files = Files(tmp_path)
    assert files.create("lease", b"first")
    assert not files.create("lease", b"second")
    assert files.read("lease") == b"first"


def test_a_move_that_a_bucket_did_without_an_answer_is_not_done_twice(tmp_path):
    files = Files(tmp_path)
    files.write("a", b"rows")
    for _ in range(2):
        files.move("a", "damaged/a")
    assert (files.read("a"), files.read("damaged/a")) == (None, b"rows")


def test_a_file_is_moved_only_by_who_may_write(tmp_path):
    def guard():
        raise LeaseLost("taken over")

    files = Files(tmp_path)
    files.write("a", b"rows")
    with pytest.raises(LeaseLost):
        files.with_patience(Patience(guard)).move("a", "b")
    assert files.read("a") == b"rows"


def test_local_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Files("sweeps").root == str(tmp_path / "sweeps")


def test_a_file_uri_is_a_local_path(tmp_path):
    assert Files(f"file://{tmp_path}/s").root == f"{tmp_path}/s"


@pytest.mark.parametrize("uri", ["nope://bucket/x", "s3://"])
def test_a_uri_that_is_none_is_refused(uri):
    with pytest.raises(SpecError, match="expected a path or a URI such as"):
        Files(uri)


def test_a_folder_in_a_bucket_keeps_the_uris_options():
    uri = "s3://lab/sweeps?region=eu-west-1&scheme=http"
    below = Files(uri).below("digits")
    assert below.uri == "s3://lab/sweeps/digits?region=eu-west-1&scheme=http"
    assert below.root == "lab/sweeps/digits"


def test_a_setting_that_changes_type_becomes_json_text():
    old = pa.schema([("run_id", pa.string()), ("param.task.gap", pa.float64())])
    new = pa.schema(
        [
            ("run_id", pa.string()),
            pa.field("param.task.gap", pa.string(), metadata=schema.JSON_COLUMN),
        ]
    )
    table = pa.table({"run_id": ["a", "b"], "param.task.gap": [1.5, None]}, schema=old)
    found = schema.conform(table, schema.merge(new, old))
    assert found["param.task.gap"].to_pylist() == ["1.5", None]


NEW = ["git_dirty", "torch", "python", "host", "ended_at"]


def test_a_store_without_the_newer_columns_gets_them_as_nulls(tmp_path):
    spec = read_spec({**SWEEP, "tasks": {"walk": {"task": "toy"}}})
    store = SweepStore(str(tmp_path), spec.name)
    store.prepare(spec)
    row = {"run_id": "a", "status": "done", "version": "0.1.0"}
    whole = schema.rows_table([row], schema.runs_schema(spec))
    store.files.write_table("runs/a.parquet", whole.drop_columns(NEW))
    assert not set(NEW) & set(store.runs().column_names)
    store.prepare(spec)
    (row,) = store.runs().to_pylist()
    assert [row[name] for name in ("version", *NEW)] == ["0.1.0", *[None] * len(NEW)]


def test_a_column_that_a_later_version_added_stays():
    old = schema.runs_schema(read_spec(SWEEP))
    later = old.insert(len(COLUMNS), pa.field("power_w", pa.float64()))
    assert schema.merge(old, later).names == later.names


def test_no_column_is_dropped_when_a_sweep_shrinks():
    old = pa.schema(
        [("run_id", pa.string()), ("param.task.a", pa.int64()), ("metric.x", pa.float64())]
    )
    new = pa.schema(
        [("run_id", pa.string()), ("param.task.b", pa.int64()), ("metric.y", pa.float64())]
    )
    assert schema.merge(new, old).names == [
        "run_id",
        "param.task.a",
        "param.task.b",
        "metric.x",
        "metric.y",
    ]

"""Queries of other users read no files, change no settings, and end."""

import json

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from raysweep.errors import SpecError
from raysweep.results.sql import ask
from raysweep.results.sql_limits import Limits

RUNS = pa.table({"run_id": ["a", "b"], "seed": [0, 1]})
TABLES = {name: pads.dataset(RUNS) for name in ("runs", "curves")}
secret = pa.table({"secret": [1]})


def query(text, **limits):
    return ask(text, TABLES, None, Limits(**limits))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working directory with a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "secret.csv").write_text("a\n1\n")


def test_a_query_has_the_answer_that_it_has_without_limits():
    text = "select count(*) as n, max(runs.seed) as last from runs join curves using (run_id)"
    assert query(text) == ask(text, TABLES)


def test_statements_before_the_last_one_are_run():
    text = "create temp table first as from runs where seed = 0; select count(*) as n from first"
    assert query(text).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "select * from 'secret.csv'",
        "select * from read_csv('secret.csv')",
        "select * from read_text('secret.csv')",
        "select * from read_text('.tmp/secret.csv')",
        "select * from read_parquet('/etc/passwd')",
        "select * from glob('*')",
        "select * from sniff_csv('secret.csv')",
        "copy runs to 'new.csv'",
        "copy runs to '.tmp/new.csv'",
        "export database 'new'",
        "attach 'new.db'",
        "attach 'https://example.org/x.db'",
        "install httpfs",
        "load httpfs",
        "select * from read_csv('https://example.org/x.csv')",
        "set enable_external_access = true",
        "set memory_limit = '100GB'",
        "set threads = 64",
        "pragma temp_directory = '.tmp'",
        "set lock_configuration = false",
        "select * from secret",
        "select * from TABLES",
        "select getenv('HOME')",
        "select * from duckdb_secrets()",
        "create secret (type s3, key_id 'x', secret 'y')",
    ],
)
def test_a_query_reads_and_writes_nothing_but_the_tables(text, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpecError, match=r"^sql: expected a query over runs, planned and curves"):
        query(text)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "text",
    [
        "select sum(a.range * b.range) from range(1000000) a, range(1000000) b",
        "select a.range from range(1000000) a, range(1000000) b where a.range + b.range < 0",
        "create table x as select sum(a.range) from range(1000000) a, range(1000000) b; select 1",
    ],
)
def test_a_query_that_takes_too_long_is_ended(text):
    message = r"^sql: expected a query that ends in at most 0.1 s; select less, or query the sweep"
    with pytest.raises(SpecError, match=message):
        query(text, seconds=0.1)


def test_a_query_that_needs_too_much_memory_is_ended():
    text = "select count(distinct r) from (select random() r from range(20000000))"
    with pytest.raises(SpecError, match="ends in at most 50MB of memory"):
        query(text, memory="50MB")


def test_a_result_that_is_too_large_is_refused():
    text = "select range, repeat('x', 1000) from range(100000)"
    with pytest.raises(SpecError, match="expected a result of at most 1 MiB; select fewer rows"):
        query(text, result_bytes=2**20)


def test_an_error_in_the_middle_of_the_rows_is_explained():
    text = "select case when range > 300000 then error('odd') else range end from range(1000000)"
    with pytest.raises(SpecError, match="odd"):
        query(text)


def test_conditions_of_a_query_see_labels_and_the_plan(hand):
    text = "select count(*) as n from planned where selected"
    assert hand.sql(text, limits=Limits()) == hand.sql(text)
    assert json.dumps(hand.sql(text).to_pylist())

"""Rows of a store in other tools: CSV, pandas, Polars, SQL, and which files are opened for them."""

import csv
import re
import shlex
from pathlib import Path

import pytest
from figure_helpers import loss, spec_of, store_of

from raysweep.cli.main import main
from raysweep.errors import SpecError
from raysweep.store import sweep_store as store_module

DOCS = Path(__file__).parents[2] / "docs/results.md"
QUERIES = [
    shlex.split(line)[3]
    for line in re.findall(r"^raysweep sql quickstart .*$", DOCS.read_text(), re.MULTILINE)
]


@pytest.fixture
def results(tmp_path):
    return store_of(tmp_path / "store", spec_of(training={"lr": [0.1, 0.2]}), loss)


def test_a_csv_file_has_every_row_and_column(results, tmp_path):
    assert results.export_csv(tmp_path / "runs.csv") == results.runs().num_rows
    with (tmp_path / "runs.csv").open() as lines:
        found = list(csv.DictReader(lines))
    assert list(found[0]) == [*results.runs().column_names, "in_plan", "selected"]
    losses = {float(row["metric.train_loss"]) for row in found}
    assert losses == set(results.runs()["metric.train_loss"].to_pylist())


def test_a_csv_file_that_is_there_is_left_alone(results, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("mine")
    with pytest.raises(SpecError, match="already exists"):
        results.export_csv(path)
    assert path.read_text() == "mine"


def test_a_csv_file_in_no_folder_is_refused(results, tmp_path):
    with pytest.raises(SpecError, match=r"folder .* does not exist"):
        results.export_csv(tmp_path / "none/runs.csv")


@pytest.mark.parametrize("table", ["runs", "planned", "curves", "attempts", "decisions"])
def test_every_table_comes_as_pandas_and_polars(results, table):
    rows = results.sql(f"select count(*) as n from {table}")["n"][0].as_py()
    assert len(results.to_pandas(table)) == results.to_polars(table).height == rows


def test_an_unknown_table_is_told(results):
    with pytest.raises(SpecError, match="expected runs, planned, curves, attempts or decisions"):
        results.to_pandas("run")


@pytest.mark.parametrize(
    "options",
    [[], ["--csv", "a.csv", "--optuna", "a.db"], ["--csv", "a.csv", "--metric", "train_loss"]],
    ids=["neither", "both", "metric of a CSV"],
)
def test_export_takes_one_kind_of_file(results, options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["export", "hand", "--store", results.store.store.uri, *options])
    assert stopped.value.code == 2
    assert "--optuna" in capsys.readouterr().err


def test_the_command_tells_what_it_wrote(results, tmp_path, capsys):
    out = str(tmp_path / "curves.csv")
    with pytest.raises(SystemExit):
        main(
            [
                "export",
                "hand",
                "--store",
                results.store.store.uri,
                "--csv",
                out,
                "--table",
                "curves",
            ]
        )
    assert capsys.readouterr().out == f"{out}: {results.curves().num_rows} rows of curves\n"


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_documented_query_is_answered(results, query):
    for ours, theirs in (("'ReinMax'", "'ST'"), ("'quadratic'", "'A'"), ("= 0.01", "= 0.1")):
        query = query.replace(ours, theirs)
    assert results.sql(query).num_rows


def test_five_queries_are_documented():
    assert len(QUERIES) == 5


def test_of_many_curve_files_only_those_of_the_runs_packs_are_opened(results, monkeypatch):
    monkeypatch.setattr(store_module, "FEW_FILES", 0)
    rows = results.runs().to_pylist()
    for row in rows:  # as the engine names them: a pack each
        row["pack_id"] = row["run_id"][::-1]
    columns = results.runs().schema
    results.store.write_runs("all", rows, columns)
    for name in results.store.files.names("curves"):
        table = results.store.files.read_table(name)
        run_id = name.removeprefix("curves/").removesuffix("-0.parquet")
        results.store.files.write_table(f"curves/{run_id[::-1]}-0.parquet", table)
        results.store.files.remove(name)
    one = rows[0]["run_id"]
    dataset = results.store.curves_of([one])
    assert [Path(each).name for each in dataset.files] == [f"{one[::-1]}-0.parquet"]


def test_curve_files_that_were_named_otherwise_are_all_opened(results, monkeypatch):
    monkeypatch.setattr(store_module, "FEW_FILES", 0)
    one = results.runs()["run_id"][0].as_py()
    everything = results.store.files.names("curves")
    assert len(results.store.curves_of([one]).files) == len(everything)

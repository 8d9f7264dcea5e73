"""Tables and figures call a row what the sweep file calls it: an estimator, or a method."""

import csv
import io
import json

import pytest
from chart_helpers import texts
from click.testing import CliRunner
from figure_helpers import spec_of, store_of
from method_helpers import method_store, mixed_store
from table_helpers import cell, table_of

import raysweep
from raysweep.cli.main import cli
from raysweep.formats.diff import FORMATS as DIFF
from raysweep.formats.table_formats import NAMES
from raysweep.results.compare import difference
from raysweep.sweepfile.rows import ROWS

FRONT = {"select": {"metric": ["train_loss", "distance"], "mode": ["min", "max"]}}
RENDERED = [name for name in NAMES if name not in ("csv", "json")]


@pytest.fixture
def walks(tmp_path):
    return method_store(tmp_path, **FRONT)


@pytest.fixture
def old(tmp_path):
    """A sweep of estimators beside it."""
    return store_of(tmp_path, spec_of(name="old"))


def said(tmp_path, *words):
    result = CliRunner().invoke(cli, [*words, "--store", str(tmp_path)], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


def shown(first, second):
    return DIFF["markdown"](difference(first, second))


@pytest.mark.parametrize("format", RENDERED)
def test_a_table_speaks_of_methods_alone(walks, format):
    text = walks.table().render(format)
    assert "method" in text
    assert "estimator" not in text.lower()


@pytest.mark.parametrize("format", RENDERED)
def test_a_table_of_estimators_speaks_of_no_method(old, format):
    text = old.table().render(format)
    assert "estimator" in text
    assert "method" not in text.replace("methods.", "")


def test_a_table_has_the_word_of_the_file_in_its_heads_and_notes(walks):
    text = walks.table().render("markdown")
    assert "| method | A | B |" in text
    assert "| method | task | train_loss | distance | settings |" in text
    assert "among methods with a final mean on every task" in text


def test_data_keep_the_names_of_their_columns(walks):
    table = walks.table()
    first = next(iter(csv.DictReader(io.StringIO(table.render("csv")))))
    assert (first["estimator"], first["task"]) == ("slow", "A")
    data = json.loads(table.render("json"))
    assert data["row_kind"] == "method"
    assert data["cells"][0]["estimator"] == data["front"][0]["estimator"] == "slow"
    assert {"task", "estimator"} <= set(walks.to_pandas().columns)


def test_a_file_with_rows_of_both_kinds_calls_them_methods(tmp_path):
    table = mixed_store(tmp_path).table()
    assert table.estimators == ("slow", "fast", "ST")
    assert "| method | A | B |" in table.render("markdown")


def test_a_table_by_hand_has_estimators():
    table = table_of(cell("ST", "A", [1.0, 2.0]))
    assert "| estimator | A |" in table.render("markdown")


def test_a_notebook_shows_the_word_of_the_file(walks):
    assert ">method<" in walks.table()._repr_html_()
    assert ">estimator<" not in walks._repr_html_() + walks.top()._repr_html_()


def test_a_report_on_intervals_speaks_of_methods(walks):
    text = walks.table(spread="ci").render("text")
    assert "estimator" not in text


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_statistics_speak_of_methods_alone(walks, tmp_path, format):
    text = " ".join(said(tmp_path, "stats", "walks", "--format", format).split())
    for expected in (
        "0 for the worst method's mean",
        "they depend on which methods are compared",
        "that a run of the row's method is better than one of the column's",
    ):
        assert expected in text
    assert "estimator" not in text


def test_statistics_of_estimators_are_as_they_were(old, tmp_path):
    text = " ".join(said(tmp_path, "stats", "old").split())
    assert "0 for the worst estimator's mean and 1 for the best one's; they depend on" in text
    assert "method" not in text


def test_statistics_as_data_name_the_word_beside_the_keys(walks, tmp_path):
    data = json.loads(said(tmp_path, "stats", "walks", "--format", "json"))
    assert data["row_kind"] == "method"
    assert data["arms"][0]["estimator"] == "slow"


@pytest.mark.parametrize("format", RENDERED)
def test_the_best_configurations_are_of_methods(walks, format):
    text = walks.top().render(format)
    assert "method" in text
    assert "estimator" not in text.lower()


def test_commands_speak_of_no_estimator(walks, tmp_path):
    for command in ("status", "logs", "table", "top", "importance", "ls"):
        words = [command] if command == "ls" else [command, "walks"]
        assert "estimator" not in said(tmp_path, *words)


def test_a_table_of_sweeps_with_the_same_word_has_it(walks, tmp_path):
    other = method_store(tmp_path, name="others")
    table = raysweep.compare(walks, other)
    assert table.row_kind == "method"


def test_a_table_of_sweeps_with_different_words_speaks_of_rows(walks, old):
    table = raysweep.compare(walks, old)
    assert "| row | A | B |" in table.render("markdown")
    assert "among rows with a final mean on every task" in table.render("text")
    assert table.row_kind not in ROWS


def test_a_difference_has_the_word_of_both_files_or_row(walks, old, tmp_path):
    other = method_store(tmp_path, name="others", methods={"slow": {"lr": [0.1, 0.4]}})
    assert "| method | task | walks | others |" in shown(walks, other)
    assert "| row | task | walks | old |" in shown(walks, old)


def test_a_difference_names_no_estimator_where_there_is_none(walks, tmp_path):
    labels = {"slow": {"estimator": "straight_through"}}
    other = store_of(tmp_path, spec_of({"A": {"task": "toy"}}, labels, name="other"))
    changes = {change.name: change for change in difference(walks, other).settings}
    assert (changes["task"].first, changes["task"].second) == ("toy_alone", "toy")
    assert (changes["estimator"].first, changes["estimator"].second) == ("", "straight_through")


def test_a_figure_of_methods_is_drawn_with_their_labels(walks):
    assert "fast" in texts(walks.plot("curves", methods="fast"))
    for kind in ("seeds", "heatmap", "parallel", "search"):
        assert not any("stimator" in text for text in texts(walks.plot(kind)))

"""Labels and errors of a store from elsewhere, in everything that the commands print."""

import csv
import io
import json

import pyarrow.csv as pacsv
import pytest
from rich.console import Console

from raysweep.api import open_results
from raysweep.cli.main import main
from raysweep.engine.errors_of_runs import line_of
from raysweep.formats.text import print_table
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec
from raysweep.text import MAX_ERROR

ESC, FORMULA = "\x1b]0;owned\x07", "=cmd|'/c calc'!A0"
COMMANDS = [
    ("status", "hand"),
    ("status", "hand", "--failed"),
    ("ls",),
    ("table", "hand"),
    ("table", "hand", "--format", "markdown"),
    ("table", "hand", "--format", "csv"),
    ("table", "hand", "--format", "json"),
    ("top", "hand"),
    ("top", "hand", "--format", "csv"),
    ("stats", "hand"),
    ("stats", "hand", "--format", "markdown"),
    ("stats", "hand", "--format", "csv"),
    ("sql", "hand", "select task, estimator, error from runs"),
    ("sql", "hand", 'select error as "\x1b[1m" from runs'),
    ("sql", "hand", "select * from no\x1b[1mtable"),
    ("status", "no\x1b[1msweep"),
]


@pytest.fixture
def store(tmp_path):
    """A store whose labels and errors are hostile: past the check of sweep files."""
    spec = read_spec(
        {
            "name": "hand",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "seeds": 2,
        }
    )
    own = SweepStore(str(tmp_path), "hand")
    own.prepare(spec)
    text = own.files.read("spec.json").decode()
    label = f"walk{ESC}<b>|".replace("\x1b", "\\u001b").replace("\x07", "\\u0007")
    edited = json.loads(text.replace('"walk"', f'"{label}"'))
    del edited["sha256"]
    own.files.write("spec.json", json.dumps(edited).encode())
    columns = own.schema("runs", schema.runs_schema(spec))
    about = {"device": "cpu", "version": "0", "attempts": 1, "steps": 1, "steps_executed": 1}
    rows = []
    for seed, status in enumerate(("done", "failed")):
        (cell,) = spec.arms[0].cells()
        run_id = Run(spec.arms[0].configuration(cell), seed).run_id
        error = f"{FORMULA}\n{ESC}\u202e" if status == "failed" else None
        labels = {"task": f"walk{ESC}<b>|", "estimator": f"{FORMULA}{ESC}", "error": error}
        rows.append({"run_id": run_id, "seed": seed, "status": status, **about, **labels})
    own.write_runs("a" * 16, rows, columns)
    own.write_attempt(rows[1]["run_id"], 1, rows[1]["error"])
    return tmp_path


def output(capfd, store, *command):
    with pytest.raises(SystemExit):
        main([*command, "--store", str(store)])
    found = capfd.readouterr()
    return found.out + found.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_sends_control_characters_to_the_terminal(store, capfd, command):
    shown = output(capfd, store, *command)
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(shown)
    assert "Traceback" not in shown
    assert shown.strip()


def test_a_multi_line_error_remains_one_line_of_status(store, capfd):
    lines = [each for each in output(capfd, store, "status", "hand").splitlines() if "A0" in each]
    (line,) = (each for each in lines if "(others)" not in each)  # rows that name no configuration
    assert line.startswith("failed ")


def test_a_formula_in_exported_rows_stands_behind_an_apostrophe(store, capfd, tmp_path):
    path = tmp_path / "rows.csv"
    output(capfd, store, "export", "hand", "--csv", str(path), "--table", "runs")
    rows = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(newlines_in_values=True))
    assert all(each.startswith("'=cmd") for each in rows["estimator"].to_pylist())
    assert rows["seed"].to_pylist() == [0, 1]


def test_a_formula_in_the_csv_of_a_query_stands_behind_an_apostrophe(store, capfd):
    query = "select estimator, -seed as n, -0.5 as x, '-0.5' as t from runs order by seed"
    text = output(capfd, store, "sql", "hand", query, "--format", "csv")
    first = next(csv.DictReader(io.StringIO(text)))
    assert first["estimator"].startswith("'=cmd")
    assert (first["x"], first["t"]) == ("-0.5", "-0.5")


class Odd(Exception):
    """An error whose text raises."""

    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (ValueError("bad \udc80 byte"), "ValueError: bad \\udc80 byte (test_foreign_output.py:"),
        (ValueError("x" * 3_000_000), "ValueError: xxx"),
        (
            Odd(),
            "Odd: no message, as str() of the error raised RuntimeError (test_foreign_output.py:",
        ),
        (ValueError(), "ValueError: no message (test_foreign_output.py:"),
    ],
    ids=["surrogate", "long", "raises", "empty"],
)
def test_the_error_of_a_run_is_short_and_has_a_coding(error, start):
    try:
        raise error
    except Exception as caught:  # noqa: BLE001
        text = line_of(caught)
    assert text.startswith(start)
    assert text.endswith(")")
    assert len(text.encode()) <= MAX_ERROR + 2


def test_a_table_in_a_terminal_shows_control_characters(store):
    out = io.StringIO()
    table = open_results(str(store), "hand").table()
    print_table(table, Console(file=out, force_terminal=True, width=200))
    assert "\x1b]" not in out.getvalue()
    assert "\\x1b]0;owned\\x07" in out.getvalue()

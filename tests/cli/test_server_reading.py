"""Commands that read results print the same at a service as of its store."""

import os
import subprocess
import sys

import click
import pytest

from raysweep.cli.main import cli, main

RUN = "0" * 16
SWEEPS = {"table": ["hand"], "diff": ["hand", "other"], "sql": ["hand", "select * from runs"]}
NAMED = {
    name: command
    for name, command in cli.commands.items()
    if {"store", "server"} <= {param.name for param in command.params}
}


def formats(command):
    """The output formats of a command; none if it has none."""
    for param in command.params:
        if param.name == "format":
            return param.type.choices
    return ()


ENUMERATED = [
    [name, *SWEEPS.get(name, ["search" if name == "importance" else "hand"]), "--format", format]
    for name, command in NAMED.items()
    for format in formats(command)
]
OTHERS = [
    ["ls"],
    ["ls", "--tag", "draft"],
    ["ls", "--tag", "final"],
    ["status"],
    ["status", "hand"],
    ["status", "search"],
    ["status", "hand", "--failed"],
    ["status", "other", "--failed"],
    ["logs", "hand"],
    ["logs", "hand", RUN],
    ["logs", "hand", "--tail", "1"],
    ["table", "hand", "other"],
    ["table", "other", "hand", "other", "--format", "csv"],
    ["table", "hand", "--report", "distance", "--select", "train_loss", "--spread", "ci"],
    ["table", "hand", "--rows", "ST", "--columns", "B", "--average", "--level", "0.01"],
    ["table", "hand", "--where", "seed < 2 and status = 'done'", "--test", "mann-whitney"],
    ["stats", "hand", "--estimators", "RF", "--report", "distance"],
    ["top", "hand", "--n", "1", "--metric", "distance", "--tasks", "A"],
    ["diff", "hand", "other", "--report", "distance"],
    ["importance", "search", "--metric", "distance"],
    ["sql", "hand", "select 1; select count(*) as n from planned"],
    ["sql", "hand", "select '=1' as formula, 'ä' as letter", "--format", "csv"],
    ["table", "--latest"],
]
ASIDE = {"plot", "report", "rm"}  # they write or delete files


def test_every_command_with_a_format_is_enumerated():
    assert {words[0] for words in (*ENUMERATED, *OTHERS)} | ASIDE == NAMED.keys()


@pytest.fixture
def run(capfdbinary, stored, monkeypatch):
    """The exit code, output and errors of a command."""
    monkeypatch.setenv("RAYSWEEP_TOKEN", stored.token("vera", "viewer"))

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        captured = capfdbinary.readouterr()
        return stopped.value.code, captured.out.decode(), captured.err.decode()

    return run


@pytest.mark.parametrize("words", [*ENUMERATED, *OTHERS], ids=" ".join)
def test_a_command_prints_the_same_at_a_service(words, run, stored):
    of_store = run(*words, "--store", stored.store)
    assert of_store[0] == 0
    assert run(*words, "--server", stored.url) == of_store


@pytest.mark.parametrize("width", [20, 80])
@pytest.mark.parametrize("command", ["ls", "table", "stats", "top", "status", "sql"])
def test_texts_have_the_width_of_the_screen(command, width, run, stored, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    words = [command, *([] if command == "ls" else SWEEPS.get(command, ["hand"]))]
    assert run(*words, "--server", stored.url) == run(*words, "--store", stored.store)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r"])
def test_a_terminal_without_some_letters_gets_others(encoding, stored, monkeypatch, tmp_path):
    texts = []
    for where in (["--store", stored.store], ["--server", stored.url]):
        path = tmp_path / "out"
        monkeypatch.setenv("RAYSWEEP_TOKEN", stored.token())
        with path.open("w", encoding=encoding) as file:
            monkeypatch.setattr("sys.stdout", file)
            with pytest.raises(SystemExit):
                main(["table", "hand", *where])
        monkeypatch.undo()
        texts.append(path.read_bytes().decode(encoding))
    assert texts[0].splitlines()[0] == texts[1].splitlines()[0]
    if encoding != "koi8-r":  # which a service does not know, so it sends ASCII
        assert texts[0] == texts[1]


def test_a_table_in_a_terminal_has_the_styles_of_one_of_a_store(run, stored, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-16color")
    for name in ("NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    of_store = run("table", "hand", "other", "--store", stored.store)
    assert "\x1b[1;32m" in of_store[1]
    assert run("table", "hand", "other", "--server", stored.url) == of_store


OPTIONS = {
    "paths": ["--x", "train_loss", "--y", "distance"],
    "lines": ["--over", "temperature"],
    "heatmap": ["--over", "temperature"],
}
FIGURES = [
    *(["hand", "--kind", kind, *options] for kind, options in OPTIONS.items()),
    ["search", "--kind", "search"],
    ["hand", "--out", "x.json"],
    ["hand", "--out", "x.svg", "--no-caption", "--font", "serif", "--metric", "distance", "--all"],
    ["hand", "--dpi", "72", "--band", "ci", "--size", "column", "--tasks", "A", "--log"],
]


@pytest.mark.parametrize("words", FIGURES, ids=" ".join)
def test_a_figure_is_the_same_file_at_a_service(words, run, stored, monkeypatch, tmp_path):
    given = ["--out", "x.json"] if "--kind" in words and "--out" not in words else []
    answers = []
    for where in (["--store", stored.store], ["--server", stored.url]):
        folder = tmp_path / where[0]
        folder.mkdir()
        monkeypatch.chdir(folder)
        answer = run("plot", *words, *given, *where)
        answers.append((answer, {file.name: file.read_bytes() for file in folder.iterdir()}))
    assert answers[0][0][0] == 0
    assert len(answers[0][1]) == 1
    assert answers[0] == answers[1]


def test_a_default_name_of_a_figure_is_the_same(run, stored, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["plot", "search", "--kind", "slice", "--over", "lr", "--size", "page", "--no-caption"]
    of_store = run(*words, "--store", stored.store)
    assert run(*words, "--server", stored.url) == of_store
    assert len(list(tmp_path.iterdir())) == 1


def test_a_report_is_the_same_file_at_a_service(run, stored, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    contents = []
    for where in (["--store", stored.store], ["--server", stored.url]):
        answer = run("report", "other", "--select", "distance", *where)
        (file,) = tmp_path.glob("*.html")
        contents.append((answer, file.read_text()))
        file.unlink()
    assert contents[0] == contents[1]


MISTAKES = [
    ["status", "hans"],
    ["status", "hans", "--failed"],
    ["status", "--failed"],
    ["status", "Hand!"],
    ["logs", "hans"],
    ["logs", "hand", "none"],
    ["table", "hans"],
    ["table", "hand", "hans"],
    ["table", "hand", "search", "--where", "seed = 77"],
    ["table", "hand", "--report", "los"],
    ["table", "hand", "--select", "los"],
    ["table", "hand", "--tasks", "C"],
    ["table", "hand", "--rows", "ST", "--methods", "ST"],
    ["table", "hand", "--where", "seed <"],
    ["table", "hand", "--level", "2"],
    ["table", "hand", "--format", "pdf"],
    ["table"],
    ["stats", "hand", "--report", "los"],
    ["top", "hand", "--n", "0"],
    ["top", "hand", "--metric", "los"],
    ["diff", "hand", "hans"],
    ["diff", "hand", "other", "--report", "los"],
    ["importance", "search", "--metric", "los"],
    ["sql", "hand", "select nothing"],
    ["sql", "hand", "drop table runs"],
    ["plot", "hand", "--out", "x.jpg"],
    ["plot", "hand", "--out", "missing/x.png"],
    ["plot", "hand", "--over", "temperature"],
    ["plot", "hand", "--kind", "heatmap", "--over", "temperatur"],
    ["plot", "hans"],
    ["report", "hand", "--out", "x.pdf"],
    ["report", "hand", "--select", "los"],
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_has_the_same_lines_at_a_service(words, run, stored, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words, "--store", stored.store)
    assert (code, out) == (2, "")
    at_service = run(*words, "--server", stored.url)
    assert at_service[:2] == (2, "")
    assert at_service[2] == err


def test_the_variable_is_used_unless_a_store_is_given(run, stored, monkeypatch, tmp_path):
    monkeypatch.setenv("RAYSWEEP_SERVER", stored.url)
    assert run("ls") == run("ls", "--server", stored.url)
    assert run("ls", "--store", tmp_path)[1].startswith("no sweeps in ")


def test_a_store_and_a_server_are_not_both_given(run, stored):
    code, _, err = run("ls", "--store", stored.store, "--server", stored.url)
    assert (code, err) == (2, "raysweep: give --store or --server, not both\n")


@pytest.mark.parametrize("command", ["run", "plan", "compact", "doctor", "export"])
def test_other_commands_stay_on_this_machine(command):
    assert isinstance(cli.commands[command], click.Command)
    assert command not in NAMED


@pytest.mark.parametrize(
    "words", [["ls"], ["status", "hand"], ["table", "hand"], ["sql", "hand", "select 1"]]
)
def test_a_command_at_a_service_imports_nothing_heavy(words, stored):
    unwanted = {"torch", "ray", "optuna", "altair", "duckdb", "scipy", "pyarrow", "numpy"}
    code = (
        "import sys\nfrom raysweep.cli.main import main\n"
        f"try: main({[*words, '--server', stored.url]!r})\n"
        "except SystemExit as stopped: code = stopped.code\n"
        f"print(code, {unwanted!r} & set(sys.modules), file=sys.stderr)"
    )
    environment = {**os.environ, "RAYSWEEP_TOKEN": stored.token("vera", "viewer")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == "0 set()\n" or done.stderr.endswith("\n0 set()\n")

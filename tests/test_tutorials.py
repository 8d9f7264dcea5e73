"""The tutorials' files and commands, in the order of the pages, with few steps."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import raysweep
from raysweep.cli.main import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
QUICKLY = ["--set", "training.steps=10"]


def blocks(page):
    """The language and the text of each block of code of a page, in order."""
    return BLOCK.findall((DOCS / page).read_text())


def applied(diff, text):
    """A file after a change: the lines of the diff with `-` or a space are in it once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, diff
    return text.replace(before, after)


def call(line):
    """Call a command of the page; return its exit code."""
    words = shlex.split(line, comments=True)[1:]
    with pytest.raises(SystemExit) as end:
        main([*words, *(QUICKLY if words[0] == "run" else [])])
    return end.value.code


def commands(text):
    return [line for line in text.splitlines() if line.startswith("raysweep ")]


@pytest.mark.slow
def test_the_first_sweep_works_from_the_first_line_to_the_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file, *rest = blocks("tutorial.md")[1:]  # the first block activates the environment
    text = file[1]
    assert file[0] == "yaml"
    for language, block in rest:
        if language == "diff":
            text = applied(block, text)
        Path("first.yaml").write_text(text)
        if language == "yaml":
            assert block == text  # the final file
        for line in commands(block) if language == "" else []:
            fails = line.startswith("raysweep run") and "too-large" in line
            assert call(line) == (1 if fails else 0), line
        if language == "text" and block.startswith("arm"):  # a plan, whose packs depend on the CPUs
            assert capsys.readouterr().out.split("\n\n")[:2] == block.split("\n\n")[:2]
    cells = raysweep.open("sweeps", "first").table().cells
    assert [(cell.status, cell.n) for cell in cells] == [("selected", 10)] * 3
    assert Path("first.html").is_file()
    assert not Path("sweeps/too-large").exists()


@pytest.fixture
def package(tmp_path):
    """The package of the page on an own model, as an installation leaves it."""
    toml, code, spec = (
        next(text for language, text in blocks("own-model.md") if language == wanted)
        for wanted in ("toml", "python", "yaml")
    )
    (tmp_path / "my_models.py").write_text(code)
    (tmp_path / "codes.yaml").write_text(spec)
    entry = re.search(r"^\[project\.entry-points\.\"(.*)\"\]\n(.*)\n", toml, re.MULTILINE)
    information = tmp_path / "my_models-0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-models\nVersion: 0.1\n")
    points = entry[2].replace('"', "")
    (information / "entry_points.txt").write_text(f"[{entry[1]}]\n{points}\n")
    return tmp_path


def run(folder, line, *more):
    """Call a command in a process that sees the package."""
    return subprocess.run(
        [sys.executable, "-m", *shlex.split(line), *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}:{os.environ['PYTHONPATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def lines(beginning):
    """The lines of the page on an own model that begin so."""
    code = [text for language, text in blocks("own-model.md") if not language]
    return [line for text in code for line in text.splitlines() if line.startswith(beginning)]


@pytest.mark.slow
@pytest.mark.parametrize("line", lines("raysweep check "))
def test_the_task_of_the_page_keeps_the_rules(package, line):
    if "--code" in line:  # as long as nothing is installed
        shutil.rmtree(package / "my_models-0.1.dist-info")
    done = run(package, line)
    assert (done.returncode, done.stderr) == (0, "")
    text = (DOCS / "own-model.md").read_text()
    assert f"```text\n{done.stdout}```" in text


@pytest.mark.slow
def test_the_sweep_of_the_page_trains(package):
    shutil.rmtree(package / "my_models-0.1.dist-info")
    (line,) = (line for line in lines("raysweep run ") if line.endswith(" --inline"))
    done = run(package, line, *QUICKLY)
    assert done.returncode == 0, done.stderr
    cells = raysweep.open(package / "sweeps", "codes").table(report="final_error").cells
    assert [(cell.status, cell.n) for cell in cells] == [("selected", 3)] * 6


@pytest.mark.slow
def test_the_mistake_of_the_page_gives_its_message(package):
    shutil.rmtree(package / "my_models-0.1.dist-info")
    code = package / "my_models.py"
    code.write_text(code.read_text().replace("square().mean(-1)  #", "square()  #"))
    done = run(package, "raysweep run codes.yaml --code my_models.py --smoke")
    assert done.returncode == 1
    shown = " ".join((DOCS / "own-model.md").read_text().split())
    assert done.stderr.splitlines()[-1] in shown

"""The pages' links lead somewhere, and their command lines are the program's."""

import re
import shlex
from pathlib import Path

import pytest

from raysweep.cli.main import cli

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
LINES = sorted(
    {
        (page.name, line)
        for page in PAGES
        for line in re.findall(
            r"^(?:\.venv/bin/)?raysweep +([a-z]+ .*?)(?: +#.*)?$", page.read_text(), re.MULTILINE
        )
    }
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    missing = [each for each in LINK.findall(text) if not (page.parent / each).exists()]
    assert not missing


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_a_command_line_names_a_command_and_its_options(page, line):
    name, *words = shlex.split(line.replace("[", " ").replace("]", " ").replace("…", ""))
    command = cli.commands[name]
    known = {option for each in command.params for option in each.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_there_are_command_lines_to_look_at():
    assert len(LINES) > 30

"""The pages' links lead somewhere, and their command lines are the program's."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from raysweep import estimators, tasks
from raysweep.cli.main import cli
from raysweep.results.aggregates import SEED_STATISTICS
from raysweep.search.samplers import SAMPLERS
from raysweep.store.schema import RunRow

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


def test_the_readme_counts_the_estimators():
    (count,) = re.findall(r"\*\*(\d+) estimators\*\*", (ROOT / "README.md").read_text())
    assert int(count) == len(estimators.names())


@pytest.mark.parametrize("name", tasks.names())
def test_the_readme_names_every_task(name):
    assert f"`{name}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RunRow)])
def test_the_page_on_results_names_every_column_of_runs(name):
    assert f"`{name}`" in (ROOT / "docs" / "results.md").read_text()


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_page_on_sweep_files_names_every_sampler(name):
    assert f"`{name}`" in (ROOT / "docs" / "sweep-file.md").read_text()


@pytest.mark.parametrize("statistic", SEED_STATISTICS, ids=lambda each: each.name)
def test_the_page_on_statistics_names_every_statistic_over_seeds(statistic):
    assert statistic.label in (ROOT / "docs" / "statistics.md").read_text()

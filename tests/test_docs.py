"""The pages' links lead somewhere, and their command lines and sweep files are the program's."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
from page_helpers import blocks, files, sweeps
from ruamel.yaml import YAML

import raysweep
from docs import reference
from raysweep import estimators, tasks
from raysweep.cli.main import cli
from raysweep.results.aggregates import SEED_STATISTICS
from raysweep.search.samplers import SAMPLERS
from raysweep.store.schema import RunRow

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`raysweep\s+([a-z]+[^`]*)`")
LINES = sorted(
    {
        (page.name, " ".join(line.split()))
        for page in PAGES
        for line in INLINE.findall(CODE.sub("", page.read_text()))
    }
    | {
        (page.name, line)
        for page in PAGES
        for line in re.findall(
            r"^(?:\.venv/bin/)?raysweep +([a-z]+ .*?)(?: +#.*)?$", page.read_text(), re.MULTILINE
        )
    }
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    text = CODE.sub("", page.read_text())
    missing = [each for each in LINK.findall(text) if not (page.parent / each).exists()]
    assert not missing


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_a_command_line_names_a_command_and_its_options(page, line):
    name, *words = shlex.split(line.replace("[", " ").replace("]", " ").replace("…", ""))
    command = cli.commands[name]
    if (parts := getattr(command, "commands", {})) and words and words[0] in parts:
        command = parts[words[0]]
    known = {option for each in command.params for option in each.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_there_are_command_lines_to_look_at():
    assert len(LINES) > 100


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


def without_comments(text):
    return [re.sub(r" +#.*", "", line) for line in text.splitlines() if not line.startswith("#")]


def test_the_readme_shows_the_quickstart_the_end_of_the_search_and_a_task_of_ones_own():
    own, quickstart, search = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert own == sweeps("own-training-code.md")["fit"]
    assert blocks("README.md", "python")[0] == files("own-training-code.md")["fit.py"]
    file = (ROOT / "examples" / "quickstart.yaml").read_text()
    assert without_comments(quickstart) == without_comments(file)
    file = without_comments((ROOT / "examples" / "search.yaml").read_text())
    assert without_comments(search) == file[file.index("training:") :]


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_generated_page_is_up_to_date(page):
    assert (ROOT / "docs" / page).read_text() == reference.PAGES[page]()


def test_the_page_on_python_has_every_public_function_method_and_error():
    methods = {name for name in dir(raysweep.Results) if not name.startswith("_")}
    ours = {"labels", "ended", "metric", "configurations", "selections"}
    assert methods - ours == set(reference.RESULTS)
    text = (ROOT / "docs" / "python.md").read_text()
    assert not [name for name in raysweep.__all__ if f"raysweep.{name}" not in text]


def navigated(entries):
    """The pages of the site's navigation."""
    for entry in entries:
        for value in entry.values():
            yield from navigated(value) if isinstance(value, list) else [value]


def test_the_site_has_every_page_once():
    site = YAML(typ="safe").load(ROOT / "mkdocs.yml")
    assert sorted(navigated(site["nav"])) == sorted(
        page.name for page in (ROOT / "docs").glob("*.md")
    )


def test_the_index_links_every_page():
    linked = LINK.findall((ROOT / "docs" / "index.md").read_text())
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(linked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_holds_no_marks_of_a_merge(page):
    assert not re.search(r"^(<{7}|>{7}) |^={7}$", page.read_text(), re.MULTILINE)

"""What the packages may know of each other, and how large their files may be."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
# Top-level folders, and the package that each of them is once it is installed.
PACKAGES = {"raysweep": "raysweep", "estimators": "raysweep.estimators", "tasks": "raysweep.tasks"}
FILES = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
# Packages of others, and the modules that may import them; others wait until they are asked for.
ONLY = {
    "ray": "engine.cluster engine.deaths engine.tune",
    "optuna": "search studies",
    "torch": "engine store.checkpoints estimators tasks doctor.environment",
    "torchvision": "tasks.data",
    "matplotlib": "figures report.write results.results",
    "duckdb": "results.sql",
    "pandas": "results api",
    "polars": "results api",
    "jinja2": "report",
    "click": "cli",
    "rich": "cli formats",
    "ruamel": "sweepfile.document",
}
# Imports against the order of the table: each is to be cut.
DEBTS: set[tuple[str, str]] = {
    ("driver.session", "cli.progress"),
    ("figures.plotly_backend.curves", "report.parts"),
    ("figures.plotly_backend.curves", "report.snapshot"),
    ("figures.plotly_backend.heatmaps", "report.parts"),
    ("figures.plotly_backend.heatmaps", "report.snapshot"),
    ("figures.plotly_backend.parallel", "report.parts"),
    ("figures.plotly_backend.parallel", "report.snapshot"),
    ("figures.plotly_backend.search", "report.parts"),
    ("figures.plotly_backend.search", "report.snapshot"),
    ("figures.plotly_backend.seeds", "report.parts"),
    ("figures.plotly_backend.seeds", "report.snapshot"),
    ("results.results", "figures.kinds"),
    ("results.results", "formats.csv_file"),
    ("results.results", "report.write"),
    ("results.results", "studies.export"),
    ("results.results", "studies.importance"),
    ("results.sensitivity", "figures.heatmaps"),
    ("results.table", "formats"),
    ("scheduling.blocked", "results.unreported"),
    ("scheduling.scheduler", "driver.again"),
    ("scheduling.warm_start", "results.edits"),
    ("search.study", "scheduling.state"),
    ("store.repair", "scheduling.state"),
    ("store.standing_rows", "scheduling.state"),
    ("store.damage", "store.files"),
    ("store.parquet", "store.files"),
    ("store.removal", "store.sweep_store"),
}


def module_name(path):
    folder, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[folder], *parts]).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imported(path):
    """Everything that a file imports, wherever in it: dotted names, down to what they name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(dotted):
    """The module of ours that an import is of; None if it is of somebody else's."""
    while dotted and dotted not in MODULES:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


def short(module):
    """The name below `raysweep`, which is itself called so."""
    return module.removeprefix("raysweep.")


IMPORTS = {
    short(module): {short(found) for each in imported(path) if (found := own(each))}
    - {short(module)}
    for module, path in MODULES.items()
}


def package(module):
    return module.partition(".")[0]


def table():
    """The rows of the page's table: a package, what it imports, and what imports it."""
    for line in PAGE.read_text().splitlines():
        if re.match(r"\| `\w+` \|", line):
            name, _, imports, importers = (each.strip() for each in line.strip("| ").split(" | "))
            yield name.strip("`"), set(imports.split()) - {"–"}, set(importers.split()) - {"–"}


ROWS = {name: (imports, importers) for name, imports, importers in table()}


def edges():
    """Imports of one package by another, debts left out."""
    for module, found in IMPORTS.items():
        for other in found:
            if package(module) != package(other) and (module, other) not in DEBTS:
                yield package(module), package(other)


@pytest.mark.parametrize("name", sorted({package(each) for each in IMPORTS}))
def test_a_package_imports_what_the_page_says(name):
    assert {other for one, other in edges() if one == name} == ROWS[name][0]


@pytest.mark.parametrize("name", sorted({package(each) for each in IMPORTS}))
def test_a_package_is_imported_by_what_the_page_says(name):
    assert {one for one, other in edges() if other == name} == ROWS[name][1]


def test_the_page_lists_a_package_after_all_that_it_imports():
    order = list(ROWS)
    for name, (imports, _) in ROWS.items():
        assert imports <= set(order[: order.index(name)]), name


def test_no_module_imports_itself_through_others():
    graph = {
        module: {other for other in found if (module, other) not in DEBTS}
        for module, found in IMPORTS.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises where there is a circle


def test_every_debt_is_one():
    assert all(other in IMPORTS[module] for module, other in DEBTS)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_packages_of_others_are_imported_where_they_belong(module):
    for other in {each.partition(".")[0] for each in imported(MODULES[module])} & ONLY.keys():
        allowed = ONLY[other].split()
        assert any(f"{short(module)}.".startswith(f"{each}.") for each in allowed), other


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_of_readable_length(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_are_of_readable_length(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            lines -= len((ast.get_docstring(node, clean=False) or "").splitlines())
            assert lines <= 50, node.name

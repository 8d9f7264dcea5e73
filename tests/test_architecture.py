"""What the packages may know of each other, and how large their files may be."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from every_file import every

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
# Top-level folders, and the package that each of them is once it is installed.
PACKAGES = {"raysweep": "raysweep", "estimators": "raysweep.estimators", "tasks": "raysweep.tasks"}
FILES = sorted(
    path
    for folder in PACKAGES
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "raysweep" / "__main__.py"  # only calls the program
)
# Packages of others, and the modules that may import them; others wait until they are asked for.
ONLY = {
    "ray": "engine.cluster engine.deaths engine.jobs engine.local_cluster engine.nodes "
    "engine.trainable engine.tune",
    "fastapi": "service",
    "starlette": "service",
    "pydantic": "service.api",
    "uvicorn": "service.server",
    "limits": "service.access.limits",
    "apprise": "service.notify",
    "prometheus_client": "service.metrics",
    "httpx": "client",
    "optuna": "search studies",
    "torch": "engine store.checkpoints estimators tasks testing doctor.environment",
    "torchvision": "tasks.data",
    "altair": "figures report.figures api",
    "vl_convert": "figures",
    "duckdb": "results.sql results.sql_limits",
    "pandas": "results.sweep_results",
    "polars": "results.sweep_results",
    "jinja2": "report service.pages",
    "click": "cli",
    "rich": "cli formats progress",
    "ruamel": "sweepfile.document",
    "tensorboardX": "trackers.tensorboard trackers.event_file",
    "wandb": "trackers.wandb trackers.wandb_file",
    "mlflow": "trackers.mlflow",
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
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node):
            constants = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
            yield from (each.value for each in constants if str(each.value).startswith("raysweep."))


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
NAMES = sorted({package(each) for each in IMPORTS})
CAPTIONS = ("for users", "shared base")  # texts of the picture that are not packages


def edges():
    """Imports of one package by another."""
    for module, found in IMPORTS.items():
        for other in found:
            if package(module) != package(other):
                yield package(module), package(other)


@pytest.mark.parametrize("name", NAMES)
def test_a_package_imports_what_the_page_says(name):
    assert {other for one, other in edges() if one == name} == ROWS[name][0]


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_imported_by_what_the_page_says(name):
    assert {one for one, other in edges() if other == name} == ROWS[name][1]


def test_the_page_lists_the_packages_that_there_are():
    assert sorted(ROWS) == NAMES


def test_the_picture_shows_every_package_and_nothing_else():
    (picture,) = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for caption in CAPTIONS:
        picture = picture.replace(caption, "")
    assert sorted(re.findall(r"\w+", picture)) == NAMES


def test_a_module_whose_name_is_a_string_counts_as_imported(tmp_path):
    (tmp_path / "module.py").write_text('import_module("raysweep.engine.tune")')
    assert list(imported(tmp_path / "module.py")) == ["raysweep.engine.tune"]


@pytest.mark.slow
def test_a_worker_imports_neither_optuna_nor_what_decides_which_runs_train_next():
    code = "import sys; import raysweep.engine.trainable; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = output.stdout.split()
    assert "raysweep.engine.trainable" in modules
    assert not [each for each in modules if re.match(r"optuna\b|raysweep\.scheduling\b", each)]


def test_the_page_lists_a_package_after_all_that_it_imports():
    order = list(ROWS)
    for name, (imports, _) in ROWS.items():
        assert imports <= set(order[: order.index(name)]), name


def test_no_module_imports_itself_through_others():
    graphlib.TopologicalSorter(IMPORTS).prepare()  # raises where there is a circle


@pytest.mark.parametrize("module", sorted(MODULES))
def test_packages_of_others_are_imported_where_they_belong(module):
    for other in {each.partition(".")[0] for each in imported(MODULES[module])} & ONLY.keys():
        allowed = ONLY[other].split()
        assert any(f"{short(module)}.".startswith(f"{each}.") for each in allowed), other


LIMITED = [
    *FILES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]


@every(LIMITED)
def test_files_are_of_readable_length(path):
    assert len(path.read_text().splitlines()) <= 400


@every(LIMITED)
def test_functions_are_of_readable_length(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            lines -= len((ast.get_docstring(node, clean=False) or "").splitlines())
            assert lines <= 50, node.name


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def private_names(path):
    """Private names of our packages that a test imports or patches."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and own(node.module):
            yield from (alias.name for alias in node.names if re.match("_[^_]", alias.name))
        elif isinstance(node, ast.Call) and re.search(r"\.(set|del)attr$", ast.unparse(node.func)):
            names = (str(getattr(each, "value", "")).rpartition(".")[2] for each in node.args[:2])
            yield from (each for each in names if re.match("_[^_]", each))


@every(TESTS)
def test_tests_import_and_patch_public_names(path):
    assert set(private_names(path)) == set()


# The doctor's findings are read in a terminal only; elsewhere an option is part of a whole command.
COMMAND = re.compile(r"\b(raysweep|ray) [^`']*--[a-z]")
OPTION = re.compile(r"(?<![\w-])--[a-z]")
SPELLERS = [path for path in FILES if package(short(module_name(path))) not in ("cli", "doctor")]


def messages(path):
    """The texts of a file with a space in them: those of f-strings whole, docstrings left out."""
    tree = ast.parse(path.read_text())
    inside = {
        id(part)
        for node in ast.walk(tree)
        for part in (node.values if isinstance(node, ast.JoinedStr) else [])
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            inside.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            yield "".join(getattr(part, "value", "{}") for part in map(text_of, node.values))
        elif isinstance(node, ast.Constant) and id(node) not in inside and " " in str(node.value):
            yield str(node.value)


def text_of(part):
    return part if isinstance(part, ast.Constant) else ast.Constant("{}")


@every(SPELLERS)
def test_options_are_spelt_by_the_command_line_alone(path):
    for text in messages(path):
        assert not OPTION.search(COMMAND.sub("", text)), text


TEMPLATES = sorted(
    path
    for folder in ("report", "service/pages")
    for path in (ROOT / "raysweep" / folder).iterdir()
    if path.suffix in (".html", ".js")
)


@every(TEMPLATES)
def test_templates_and_programs_of_pages_mention_no_option(path):
    text = path.read_text()
    assert not OPTION.search(COMMAND.sub("", text.replace("<!--", "")))

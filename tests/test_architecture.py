"""What the packages may know of each other, and how large their files may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OPTUNA = {
    f"raysweep/{each}/{path.name}"
    for each in ("search", "studies")
    for path in (ROOT / "raysweep" / each).glob("*.py")
}
PACKAGES = ("estimators", "tasks", "raysweep")
FORBIDDEN = {
    "estimators": {"tasks", "raysweep", "ray", "optuna", "numpy", "pyarrow"},
    "tasks": {"raysweep", "ray", "optuna", "pyarrow"},
}
ONLY = {
    "ray": {f"raysweep/engine/{name}.py" for name in ("cluster", "deaths", "tune")},
    "optuna": OPTUNA,
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path):
    """Top-level names of the modules a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_import_goes_against_the_layers(path):
    package = path.relative_to(ROOT).parts[0]
    assert not set(imports(path)) & FORBIDDEN.get(package, set())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_ray_and_optuna_are_imported_where_they_belong(path):
    for module, allowed in ONLY.items():
        assert module not in set(imports(path)) or name(path) in allowed


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_are_of_readable_length(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions_are_of_readable_length(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            lines = node.end_lineno - node.lineno + 1
            lines -= len((ast.get_docstring(node, clean=False) or "").splitlines())
            assert lines <= 50, node.name

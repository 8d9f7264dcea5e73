"""docs/reliability.md claims nothing without a test."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
TEST = re.compile(r"`([\w/]+)\.py::(\w+)`")
ROWS = [
    line
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| Fault", "| ---"))
]


def names_of_tests(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_each_fault_names_tests_that_exist(row):
    cells = row.strip("| ").split(" | ")
    assert len(cells) == 3
    named = TEST.findall(cells[2])
    assert named
    for file, test in named:
        assert test in names_of_tests(ROOT / "tests" / f"{file}.py")

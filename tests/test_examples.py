"""The examples that the README points to."""

from pathlib import Path

import pytest

import raysweep

SEARCH = Path(__file__).parent.parent / "examples" / "search.yaml"


@pytest.mark.slow
def test_the_example_of_a_search_reports_every_cell_on_fresh_seeds(tmp_path):
    changes = ["search.configurations=2", "training.steps=40", "early_stopping.grace=20"]
    results = raysweep.run(
        SEARCH, store=tmp_path, inline=True, changes=[*changes, "seeds.report=2"]
    )
    cells = results.table().cells
    assert [(cell.status, cell.n) for cell in cells] == [("selected", 2)] * 4
    fresh = results.sql("select count(*) as n from runs where seed >= 1000000")
    assert fresh["n"].to_pylist() == [8]

"""Examples of sweep files do what they are there to show."""

import math
from pathlib import Path

import pytest

import raysweep

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
def test_the_example_of_a_search_reports_every_cell_on_fresh_seeds(tmp_path):
    changes = ["search.configurations=2", "training.steps=40", "early_stopping.grace=20"]
    results = raysweep.run(
        EXAMPLES / "search.yaml", store=tmp_path, inline=True, changes=[*changes, "seeds.report=2"]
    )
    cells = results.table().cells
    assert [(cell.status, cell.n) for cell in cells] == [("selected", 2)] * 4
    fresh = results.sql("select count(*) as n from runs where seed >= 1000000")
    assert fresh["n"].to_pylist() == [8]


@pytest.mark.slow
def test_the_example_of_parsing_learns_more_than_the_most_frequent_value(tmp_path):
    changes = ["training.steps=250", "training.max_tokens=20", "seeds=1"]
    results = raysweep.run(EXAMPLES / "listops.yaml", store=tmp_path, inline=True, changes=changes)
    ends = results.runs().to_pylist()
    assert {row["estimator"] for row in ends} == {"STGS", "ReinMax"}
    for row in ends:
        majority = row["metric.test_majority"]
        error = math.sqrt(majority * (1 - majority) / 2000)  # of 2,000 test expressions
        assert row["metric.test_accuracy"] > majority + 3 * error
        losses = {
            curve["step"]: curve["train_loss"]
            for curve in results.curves().to_pylist()
            if curve["run_id"] == row["run_id"]
        }
        assert losses[250] < losses[50]

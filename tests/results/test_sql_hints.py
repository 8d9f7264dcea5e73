"""Hints of `raysweep sql`: names with dots need quotes in SQL."""

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from raysweep.errors import SpecError
from raysweep.results.sql import ask

TABLES = {
    "runs": pads.dataset(
        pa.table(
            {
                "run_id": ["a"],
                "param.training.lr": [0.1],
                "param.estimator.temperature": [1.0],
                "metric.loss": [2.0],
                "metric.loss_2": [3.0],
            }
        )
    ),
    "curves": pads.dataset(pa.table({"run_id": ["a"], "step": [1], "loss": [2.0]})),
}


def refusal(query):
    with pytest.raises(SpecError) as caught:
        ask(query, TABLES)
    (line,) = caught.value.problems
    return line


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("select metric.loss from runs", 'quote it: "metric.loss"'),
        ("select Metric.LOSS_2 from Runs", 'quote it: "metric.loss_2"'),
        ("select r.metric.loss from runs r", 'quote it: "metric.loss"'),
        (
            "select run_id from runs where param.estimator.temperature > 1",
            'quote it: "param.estimator.temperature"',
        ),
        (
            "select param.training.lr, metric.loss_2 from runs",
            'quote names with dots: "param.training.lr", "metric.loss_2"',
        ),
    ],
)
def test_a_name_with_dots_without_quotes_is_refused_with_a_hint_to_quote_it(query, hint):
    assert refusal(query).endswith(f"; {hint}")


@pytest.mark.parametrize("name", ["lr", "temperature", "loss_2"])
def test_a_short_name_is_refused_with_the_full_one(name):
    assert f'.{name}"?' in refusal(f"select {name} from runs").rpartition("; did you mean ")[2]


@pytest.mark.parametrize(
    "query",
    [
        "select metric.nothing from runs",
        "select metric.loss from curves",
        "select nothing from runs where run_id = 'metric.loss'",
        'select "metric.los" from runs',
    ],
)
def test_no_hint_names_a_column_that_the_tables_lack(query):
    line = refusal(query)
    assert "quote" not in line
    assert "did you mean" not in line


def test_quoted_names_are_queried():
    assert ask('select "metric.loss" as loss from runs', TABLES).to_pylist() == [{"loss": 2.0}]

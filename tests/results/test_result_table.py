"""The table: which configuration a cell reports, and what is said of the others."""

import csv
import io
import json
import statistics

import pytest
from rich.console import Console

from raysweep.api import Table
from raysweep.formats.captions import notes
from raysweep.formats.entries import entry_text
from raysweep.formats.text import print_table
from raysweep.results.frame import RunFrame
from raysweep.results.selection import cells
from raysweep.store import schema
from raysweep.sweepfile.reader import read_spec

SPEC = read_spec(
    {
        "name": "hand",
        "tasks": {"A": {"task": "toy"}, "B": {"task": "toy", "size": 2}},
        "estimators": {
            "ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]},
            "RF": {"estimator": "reinforce"},
        },
        "seeds": 3,
    }
)


def rows_of(values, spec=SPEC):
    """Ended runs as the store gives them.

    Args:
        values: (estimator label, task label, index of the cell) to one value per seed; a number
            is a done run's train_loss, a text the status of a run without one.
    """
    rows = []
    for arm in spec.arms:
        for place, cell in enumerate(arm.cells()):
            configuration = arm.configuration(cell)
            found = values.get((arm.estimator_label, arm.task_label, place), ())
            for seed, value in enumerate(found):
                rows.append(row(arm, configuration, seed, value))
    return RunFrame(schema.rows_table(rows, schema.runs_schema(spec)))


def row(arm, configuration, seed, value):
    from raysweep.sweep.runs import Run

    done = isinstance(value, float)
    return {
        "run_id": Run(configuration, seed).run_id,
        "seed": seed,
        "definition": arm.definition,
        "status": "done" if done else value,
        "task_name": arm.task,
        "estimator_name": arm.estimator,
        "configuration_id": configuration.configuration_id,
        "metric.train_loss": value if done else None,
        "metric.distance": -value if done else None,
        **{f"param.{key}": value for key, value in configuration.settings.items()},
    }


def table(values, report="train_loss"):
    found = cells(SPEC, rows_of(values), "train_loss", "min", report)
    names = ("train_loss", "min", report, "min" if report == "train_loss" else "max", "")
    return Table("hand", SPEC.task_labels, SPEC.estimator_labels, tuple(found), *names)


def text_of(found, estimator, label):
    (column,) = (each for each in found.columns if each.label == label)
    return entry_text(found.entry(estimator, column))


def test_the_configuration_with_the_best_mean_is_reported():
    cell = table({("ST", "A", 0): [1.0, 2.0, 3.0], ("ST", "A", 1): [0.5, 1.5, 2.5]}).cell("ST", "A")
    assert (cell.mean, cell.std, cell.n) == (1.5, 1.0, 3)
    assert cell.settings == {"estimator.temperature": 2.0}


def test_the_standard_deviation_is_the_samples():
    values = [0.1, 0.4, 0.7]
    assert table({("RF", "A", 0): values}).cell("RF", "A").std == statistics.stdev(values)


def test_one_lucky_seed_does_not_select():
    cell = table({("ST", "A", 0): [0.0, 9.0, 9.0], ("ST", "A", 1): [3.0, 3.0, 3.0]}).cell("ST", "A")
    assert cell.mean == 3.0


def test_another_metric_is_reported_at_the_selected_configuration():
    found = table({("ST", "A", 0): [1.0, 1.0, 1.0], ("ST", "A", 1): [2.0, 2.0, 2.0]}, "distance")
    assert found.cell("ST", "A").mean == -1.0


def test_a_diverged_seed_makes_its_configuration_ineligible():
    found = table({("ST", "A", 0): [0.1, 0.1, "diverged"], ("ST", "A", 1): [5.0, 5.0, 5.0]})
    cell = found.cell("ST", "A")
    assert (cell.status, cell.mean, cell.diverged) == ("selected", 5.0, 1)
    assert "ST on A: 1 of 2 configurations has a diverged seed and cannot be selected" in (
        notes(found)
    )


def test_a_failed_seed_makes_its_configuration_ineligible():
    found = table({("ST", "A", 0): [0.1, 0.1, "failed"], ("ST", "A", 1): [5.0, 5.0, 5.0]})
    assert (found.cell("ST", "A").mean, found.cell("ST", "A").failed) == (5.0, 1)


def test_a_cell_without_a_complete_configuration_is_provisional_with_its_n():
    found = table({("ST", "A", 0): [1.0, 2.0]})
    assert (found.cell("ST", "A").status, found.cell("ST", "A").n) == ("provisional", 2)
    assert text_of(found, "ST", "A") == "1.50 ± 0.71 (2) ?"
    assert any(note.startswith("? provisional") for note in notes(found))


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_cell_in_which_nothing_ended_well_says_so(status):
    assert text_of(table({("RF", "A", 0): [status] * 3}), "RF", "A") == status


def test_a_cell_without_runs_is_missing():
    assert text_of(table({}), "RF", "A") == "missing"


def test_seeds_outside_the_plan_do_not_count():
    found = table({("RF", "A", 0): [1.0, 1.0, 1.0, 99.0]})
    assert (found.cell("RF", "A").mean, found.cell("RF", "A").n) == (1.0, 3)


def test_the_average_is_over_tasks_and_only_of_complete_rows():
    found = table({("RF", "A", 0): [1.0] * 3, ("RF", "B", 0): [3.0] * 3, ("ST", "A", 0): [1.0] * 3})
    assert found.average("RF") == 2.0
    assert found.average("ST") is None
    assert text_of(found, "ST", "average") == "–"


def test_the_best_of_each_column_is_marked():
    found = table(
        {
            ("RF", "A", 0): [1.0] * 3,
            ("ST", "A", 0): [2.0] * 3,
            ("RF", "B", 0): [2.0] * 3,
            ("ST", "B", 0): [1.0] * 3,
        }
    )
    assert (found.best("A"), found.best("B")) == ({"RF"}, {"ST"})
    assert found.best("average") == {"RF", "ST"}


def test_a_provisional_cell_is_never_the_best():
    found = table({("RF", "A", 0): [0.1], ("ST", "A", 0): [2.0] * 3, ("ST", "A", 1): [3.0] * 3})
    assert found.best("A") == set()


FULL = {
    ("RF", "A", 0): [1.0, 1.1, 1.2],
    ("ST", "A", 0): [2.0] * 3,
    ("RF", "B", 0): [2.0] * 3,
    ("ST", "B", 0): [1.0, 1.0, "diverged"],
}


def test_text_output_is_aligned_and_marks_the_best():
    assert table(FULL).render("text").splitlines()[2:6] == [
        "estimator                A            B          average    rank",
        "----------------------------------------------------------------",
        "ST               2 ± 0 (3)     diverged                –       –",
        "RF         1.10 ± 0.10 (3) *  2 ± 0 (3)    1.550 ± 0.050       1",
    ]


def test_markdown_output_has_the_best_in_bold():
    lines = table(FULL).render("markdown").splitlines()
    assert lines[2] == "| estimator | A | B | average | rank |"
    assert lines[5] == "| RF | **1.10 ± 0.10 (3)** | 2 ± 0 (3) | 1.550 ± 0.050 | 1 |"


def test_csv_output_is_unrounded():
    found = list(csv.DictReader(io.StringIO(table(FULL).render("csv"))))
    (cell,) = (each for each in found if (each["estimator"], each["task"]) == ("RF", "A"))
    assert float(cell["mean"]) == statistics.fmean([1.0, 1.1, 1.2])
    assert cell["best"] == "True"


def test_json_output_has_cells_and_averages():
    found = json.loads(table(FULL).render("json"))
    assert found["average"]["RF"] == pytest.approx(1.55)
    assert {cell["status"] for cell in found["cells"]} == {"selected", "diverged"}


def test_a_terminal_gets_the_best_in_bold():
    console = Console(force_terminal=True, width=120, file=io.StringIO())
    print_table(table(FULL), console)
    assert "\x1b[1;32m1.10 ± 0.10 (3)" in console.file.getvalue()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.247546, 0.247530, 0.247562], "0.247546 ± 0.000016 (3)"),
        ([105.2, 104.1, 106.3], "105.2 ± 1.1 (3)"),
        ([1234.0, 1400.0, 1100.0], "1245 ± 150 (3)"),
        ([1234567.0, 1234587.0, 1234577.0], "1234577 ± 10 (3)"),
        ([1.2345678e-9, 1.2345679e-9, 1.234568e-9], "1.23456790e-09 ± 1.0e-16 (3)"),
        ([1e-12, 2e-12, 3e-12], "2.0e-12 ± 1.0e-12 (3)"),
        ([5.0, 5.0, 5.0], "5 ± 0 (3)"),
    ],
)
def test_numbers_keep_the_digits_their_spread_leaves(values, text):
    assert text_of(table({("RF", "A", 0): values}), "RF", "A") == text

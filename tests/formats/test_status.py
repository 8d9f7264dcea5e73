"""What `raysweep status` says of stores whose rows are known."""

import re

import pytest

from raysweep.cli.main import main
from raysweep.formats.status import status_text
from raysweep.results import counts, status
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec

TASKS = {"walk": {"task": "toy"}}
ST = {"estimator": "straight_through"}
ROWS = {"device": "cpu", "version": "0.1.0", "status": "done", "attempts": 1}


def spec_of(estimators=None, seeds=3, **more):
    """A sweep of one task."""
    estimators = estimators or {"ST": ST}
    return read_spec(
        {"name": "hand", "tasks": TASKS, "estimators": estimators, "seeds": seeds, **more}
    )


def rows_of(spec, **changes):
    """A row for each run of the grid, under the first arm that has it."""
    columns = schema.runs_schema(spec)
    found = {}
    for arm in spec.arms:
        for configuration in map(arm.configuration, arm.cells()):
            for seed in spec.seeds:
                run = Run(configuration, seed)
                row = {
                    **ROWS,
                    "run_id": run.run_id,
                    "seed": seed,
                    "task": arm.task_label,
                    "estimator": arm.estimator_label,
                    "task_name": arm.task,
                    "estimator_name": arm.estimator,
                    "configuration_id": configuration.configuration_id,
                    **schema.encode_settings(configuration.settings, columns),
                    **changes,
                }
                found.setdefault(run.run_id, row)
    return list(found.values())


@pytest.fixture
def told(tmp_path):
    """What the status of a sweep with these rows says."""

    def tell(spec, rows):
        store = SweepStore(str(tmp_path), spec.name)
        store.prepare(spec)
        if rows:
            store.write_runs("all", rows, store.schema("runs", schema.runs_schema(spec)))
        return status_text(str(tmp_path), spec.name)

    return tell


def numbers(text):
    """The numbers of each arm."""
    lines = [line for line in text.splitlines() if " · walk" in line and "failed " not in line]
    return {
        line.partition("  ")[0]: [int(each) for each in line.partition("  ")[2].split()]
        for line in lines
    }


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (
            {"task": "listops", "training_set": "generated", "test_set": "generated"},
            "data of parsing: training_set generated, test_set generated, validation_set training",
        ),
        (
            {"task": "categorical_vae", "dataset": ["mnist", "digits"]},
            "data of parsing: dataset mnist | digits",
        ),
    ],
)
def test_the_data_sets_of_a_task_are_named(told, task, line):
    estimators = {"ST": {"estimator": "straight_through"}}
    tasks = {"parsing": task}
    spec = read_spec({"name": "hand", "tasks": tasks, "estimators": estimators, "seeds": 1})
    assert line in told(spec, []).splitlines()


def test_a_task_without_data_sets_has_no_line_of_them(told):
    assert "data of" not in told(spec_of(), [])


def test_a_sweep_that_ended_nothing_says_so(told):
    text = told(spec_of(), [])
    assert "0 of 3 planned runs ended; no driver" in text
    assert numbers(text) == {"ST · walk": [0, 0, 0, 0]}


def test_runs_that_left_the_plan_are_told_apart(told):
    text = told(spec_of(seeds=2), rows_of(spec_of(seeds=5)))
    assert "2 of 2 planned runs ended, 3 other runs in the store; no driver" in text
    assert numbers(text) == {"ST · walk": [2, 0, 0, 0], "ST · walk (others)": [3, 0, 0, 0]}


def test_a_run_that_two_arms_share_counts_for_both_and_once_in_the_plan(told):
    spec = spec_of({"ST": ST, "again": ST, "hot": {**ST, "temperature": [1.0, 2.0]}})
    text = told(spec, rows_of(spec))
    assert "6 of 6 planned runs ended; no driver" in text
    shared = {"ST · walk": 3, "again · walk": 3, "hot · walk": 6}
    assert {arm: found[0] for arm, found in numbers(text).items()} == shared


def test_a_renamed_arm_keeps_its_runs(told):
    text = told(spec_of({"straight": ST}), rows_of(spec_of()))
    assert numbers(text) == {"straight · walk": [3, 0, 0, 0]}


RANGE = {"training": {"lr": {"low": 0.1, "high": 0.2}}}
SAID = [
    ({"search": {"sampler": "random", "configurations": 4}}, "0 of up to 12 planned runs ended"),
    ({"search": {"sampler": "random"}, "budget": {"runs": 9}}, "0 of up to 9 planned runs ended"),
    (
        {"search": {"sampler": "random"}, "budget": {"hours": 9}},
        "0 planned runs ended, and a budget ends the search",
    ),
]


@pytest.mark.parametrize(("more", "says"), SAID, ids=["configurations", "runs", "hours"])
def test_a_search_says_how_many_runs_it_may_have(told, more, says):
    text = told(spec_of(**RANGE, **more), rows_of(spec_of()))
    assert f"{says}, 3 other runs in the store; no driver" in text


def test_a_grid_too_large_to_name_counts_its_runs_too(told, monkeypatch):
    monkeypatch.setattr(counts, "MAX_CELLS", 0)
    text = told(spec_of(seeds=2), rows_of(spec_of()))
    assert "2 of 2 planned runs ended, 1 other run in the store; no driver" in text
    assert numbers(text) == {"ST · walk": [2, 0, 0, 0], "ST · walk (others)": [1, 0, 0, 0]}


def test_arms_of_a_grid_too_large_to_name_may_share_runs(told, monkeypatch):
    monkeypatch.setattr(counts, "MAX_CELLS", 0)
    spec = spec_of({"ST": ST, "again": ST})
    assert "0 of up to 6 planned runs ended" in told(spec, [])
    assert "3 of 3 planned runs ended" in told(spec, rows_of(spec))


def test_arms_that_left_the_file_come_last(told):
    hot = {**ST, "temperature": 2.0}
    text = told(spec_of({"Z": hot}), rows_of(spec_of({"A": ST, "Z": hot})))
    assert list(numbers(text)) == ["Z · walk", "A · walk (others)"]


def test_mixed_versions_are_warned_of_in_one_line(told):
    rows = rows_of(spec_of())
    rows[0]["version"] = "0.2.0"
    text = told(spec_of(), rows)
    (line,) = (line for line in text.splitlines() if line.startswith("mixed"))
    assert line.startswith("mixed versions of raysweep: 2 runs of 0.1.0, 1 run of 0.2.0; ")


def test_an_error_is_said_once_with_the_number_of_runs(told):
    spec = spec_of(seeds=25)
    text = told(spec, rows_of(spec, status="failed", error="RuntimeError: no", attempts=3))
    assert text.count("RuntimeError: no") == 1
    assert re.search(r"failed 25 runs, such as \w+ \(.*\), 3 of 3 attempts, quarantined: ", text)


def test_errors_are_listed_up_to_a_number(told):
    spec = spec_of(seeds=25)
    rows = rows_of(spec, status="failed", attempts=3)
    for index, row in enumerate(rows):
        row["error"] = f"RuntimeError: no {index}"
    text = told(spec, rows)
    assert text.count("3 attempts, quarantined: RuntimeError: no") == status.MAX_ERRORS
    assert "and 5 more failed runs; 'raysweep status hand --failed' shows all\n" in text


def test_a_failed_run_that_left_the_file_is_not_said_to_be_tried_again(told):
    hot = {**ST, "temperature": 2.0}
    rows = rows_of(spec_of({"A": ST, "Z": hot}), status="failed", attempts=1)
    for row in rows:
        row["error"] = f"RuntimeError of {row['estimator']}"
    text = told(spec_of({"Z": hot}), rows)
    assert "1 of 3 attempts, tried again by the next run: RuntimeError of Z" in text
    assert "1 of 3 attempts, no longer planned by the file: RuntimeError of A" in text


def test_a_store_that_an_older_version_wrote_is_read(tmp_path, capsys):
    spec = spec_of()
    store = SweepStore(str(tmp_path), spec.name)
    store.prepare(spec)
    table = schema.rows_table(rows_of(spec), schema.runs_schema(spec))
    older = table.drop_columns(["git_dirty", "torch", "python", "host", "ended_at"])
    store.files.write_table("runs/all.parquet", older)
    with pytest.raises(SystemExit, match="0"):
        main(["status", "hand", "--store", str(tmp_path)])
    assert "3 of 3 planned runs ended" in capsys.readouterr().out


def test_a_torn_file_is_named(told, tmp_path):
    told(spec_of(), rows_of(spec_of()))
    (tmp_path / "hand" / "runs" / "b.parquet").write_bytes(b"PAR1torn")
    with pytest.raises(status.StoreError, match=r"b\.parquet"):
        status_text(str(tmp_path), "hand")

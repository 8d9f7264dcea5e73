"""What the comparison with other tools prints, of figures as it measures them."""

import copy

import click
import pytest

from benchmarks import performance
from benchmarks.performance_page import figure_of, lines_of, table_of
from benchmarks.workloads import WORKLOADS

SECONDS = {"raysweep": 10.0, "Ray Tune": 30.0, "loop": 20.0}


def side(name, seconds):
    return {
        "side": name,
        "seconds": seconds,
        "peak": 2**30,
        "busy": 0.5,
        "gpu_busy": None,
        "training_s": 12.0 if name == "raysweep" else None,
        "timed": 60 if name != "loop" else 6,
        "steps_per_s": 60_000 / seconds,
        "runs_per_minute": 3600 / seconds,
        "training_share_of_limit": 0.87 if name == "raysweep" else None,
        "share_of_limit": 0.5,
        "mean_loss": 1.0,
        "mean_loss_error": 0.1,
    }


@pytest.fixture
def found():
    workload = {
        "workload": "digits-60",
        "title": "VAE",
        "runs": 60,
        "steps": 1000,
        "quick": False,
        "limit_steps_per_s": 7000.0,
        "sides": [side(name, seconds) for name, seconds in SECONDS.items()],
    }
    return {"machine": "2 cores", "workloads": [workload]}


def test_the_table_has_ratios_to_raysweep_and_marks_what_was_not_timed_whole(found):
    *_, row = table_of(found)
    assert "| 10.0 s | 30 s, 3× | 20 s*, 2× | 6,000 | 360 | 1,024 MiB | 50% | 87% |" in row


def test_the_terminal_has_a_line_for_each_side(found):
    title, *lines = lines_of(found["workloads"][0])
    assert title == "digits-60: VAE: 60 runs of 1,000 steps"
    assert [line.split("  ")[1] for line in lines] == list(SECONDS)
    assert "from 6 runs" in lines[2]


def test_the_figure_has_a_point_for_each_side(found):
    values = figure_of(found).to_dict()["data"]["values"]
    assert {row["side"]: row["times"] for row in values} == {
        "raysweep": 1.0,
        "Ray Tune": 3.0,
        "loop": 2.0,
    }


def test_an_earlier_file_is_compared_by_ratios_to_raysweep(found):
    earlier = copy.deepcopy(found)
    earlier["workloads"][0]["sides"][0]["seconds"] = 20.0
    lines = sorted(performance.compared(found, earlier))
    assert "digits-60, of Ray Tune: 1.50× before, 3.00× now (2.00 of it)" in lines


def test_a_workload_that_was_not_measured_before_is_named(found):
    earlier = {"workloads": []}
    assert list(performance.compared(found, earlier)) == ["digits-60: not measured before"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_run_is_in_the_sweep_file_as_well(name):
    workload = WORKLOADS[name]
    configurations = {tuple(run[key] for key in workload.choices) for run in workload.runs}
    assert len(workload.runs) == len(configurations) * workload.seeds
    assert workload.file(name)["seeds"] == workload.seeds
    assert len(workload.quickly().runs) < len(workload.runs)


def test_a_missing_data_folder_is_named_before_anything_runs(monkeypatch):
    monkeypatch.delenv("RAYSWEEP_DATA", raising=False)
    with pytest.raises(click.ClickException, match="mnist-8x4 needs the folder of MNIST in RAYSW"):
        performance.measure("mnist-8x4", ("loop",), quick=True, limit=0)

"""Large sweeps: counted before they are planned, refused above a limit, planned quickly."""

import time

import pytest
from click.testing import CliRunner

from raysweep.cli.main import cli, main
from raysweep.driver.session import drive, plan
from raysweep.errors import SpecError
from raysweep.sweep.size import planned_runs
from raysweep.sweepfile.reader import read_spec

TEN = [number / 10 for number in range(1, 11)]
HUGE = {
    "lr": TEN,
    "beta1": [number / 20 for number in range(10)],
    "beta2": [number / 20 for number in range(10)],
    "epsilon": TEN,
    "weight_decay": TEN,
    "tuning_lr": TEN,
    "tuning_beta2": [number / 20 for number in range(10)],
    "window": list(range(1, 11)),
}


def spec_of(training=HUGE, **keys):
    return read_spec(
        {
            "name": "large",
            "tasks": {"walk": {"task": "toy"}},
            "estimators": {"ST": {"estimator": "straight_through"}},
            "training": training,
            "seeds": 5,
            **keys,
        }
    )


def test_a_huge_grid_is_refused_at_once_with_its_number(tmp_path):
    start = time.process_time()
    with pytest.raises(SpecError, match=r"at most 1,000,000 runs, got 500,000,000 \(100,000,000"):
        plan(spec_of(), tmp_path)
    assert time.process_time() - start < 2


def test_a_refused_session_leaves_nothing_in_the_store(tmp_path):
    where = {"store": tmp_path, "data": None, "address": None}
    with pytest.raises(SpecError, match="got 500,000,000"):
        drive(spec_of(), **where, inline=True, progress=None)
    assert list(tmp_path.iterdir()) == []


def test_the_limit_can_be_set(tmp_path):
    spec = spec_of({"lr": TEN})
    assert plan(spec, tmp_path, max_runs=50).missing == 50
    with pytest.raises(SpecError, match="at most 49 runs, got 50 "):
        plan(spec, tmp_path, max_runs=49)


def test_the_command_line_names_its_option(tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text(spec_of({"lr": TEN}).text)
    arguments = ["plan", str(path), "--store", str(tmp_path / "store"), "--max-runs", "7"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "raysweep: --max-runs: expected at most 7 runs, got 50 " in capsys.readouterr().err


def test_the_count_comes_before_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.cli.options.MANY_RUNS", 50)
    path = tmp_path / "s.yaml"
    path.write_text(spec_of({"lr": TEN}).text)
    result = CliRunner().invoke(cli, ["plan", str(path), "--store", str(tmp_path / "store")])
    assert result.output.startswith("large: 50 runs; planning")


SIZES = {
    "grid": ({}, 50),
    "sampler": ({"search": {"sampler": "random", "configurations": 4}}, 20),
    "sampler with more than all": ({"search": {"sampler": "random", "configurations": 40}}, 50),
    "fresh seeds": ({"seeds": {"search": 2, "report": 3}}, 23),
    "budget": ({"budget": {"runs": 30}}, 30),
    "budget of each arm": ({"budget": {"arm": {"runs": 20}}}, 20),
    "hours alone": ({"search": {"sampler": "tpe"}, "budget": {"hours": 1}}, 0),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_runs_of_a_sweep_are_counted(name):
    keys, number = SIZES[name]
    assert planned_runs(spec_of({"lr": TEN}, **keys)) == number


def test_a_sampler_may_search_a_huge_space(tmp_path):
    spec = spec_of(search={"sampler": "tpe", "configurations": 10})
    assert plan(spec, tmp_path).missing == 5


def test_a_search_by_hours_starts_few_of_very_many_configurations(tmp_path):
    spec = spec_of(search={"sampler": "random"}, budget={"hours": 1}, seeds=1)
    assert plan(spec, tmp_path).missing == 1000


def test_a_large_grid_is_planned_in_seconds(tmp_path):
    training = {"lr": TEN, "epsilon": TEN, "weight_decay": TEN, "momentum": [0.0, 0.5, 0.7, 0.9]}
    spec = spec_of(training)
    start = time.process_time()
    assert plan(spec, tmp_path).missing == 20_000
    assert time.process_time() - start < 4  # of this process: a twelfth of it is needed

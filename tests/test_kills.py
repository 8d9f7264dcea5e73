"""Drivers that are stopped by signals or killed: nothing is lost, nothing is repeated."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from ruamel.yaml import YAML

import raysweep

SWEEP = """
name: killed
tasks:
  digits: {{task: categorical_vae, dataset: digits, latents: 4, hidden: {{value: [32]}}}}
  quad: {{task: polynomial, latents: 16, batch_size: 32}}
estimators:
  ST: {{estimator: straight_through, temperature: [1.0, 1.5]}}
  RLOO: {{estimator: reinforce_loo, samples: 4}}
training: {{steps: {steps}, lr: [0.003, 0.001]}}
seeds: 3
resources: {{checkpoint_s: {checkpoint_s}}}
"""
PARSING = """
name: killed
tasks:
  parsing:
    {{task: listops, training_set: generated, test_set: generated, training_examples: 60,
      validation_examples: 20, evaluation_examples: 150, max_tokens: 25, batch_size: 4,
      embedding_units: 5, hidden_units: 6, classifier_units: 7, lr_patience: 0, report_every: 10}}
estimators:
  ReinMax: {{estimator: reinmax, temperature: 1.1}}
training: {{steps: {steps}, lr: 0.01}}
seeds: 2
resources: {{checkpoint_s: {checkpoint_s}}}
"""
RAN = ["metric.train_loss", "metric.expected_loss", "metric.test_neg_elbo", "steps"]


@pytest.fixture
def start(tmp_path):
    """Starts the command line in a process group of its own, as a shell does."""

    def begin(store, *options, steps, checkpoint_s=2, sweep=SWEEP):
        spec = tmp_path / "killed.yaml"
        spec.write_text(sweep.format(steps=steps, checkpoint_s=checkpoint_s))
        command = [
            sys.executable,
            "-m",
            "raysweep.cli.main",
            "run",
            str(spec),
            "--store",
            str(tmp_path / store),
            *options,
        ]
        with (tmp_path / "output").open("w") as output:
            return subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    return begin


def rows(store):
    return sorted(
        raysweep.open(store, "killed").runs().select(["run_id", *RAN]).to_pylist(),
        key=lambda row: row["run_id"],
    )


def wait_for_progress(store, process, after_s, least=0):
    """Waits until packs train, those of the VAE for so many noted steps, and then a while."""
    began = time.time()
    while not any(
        changed(path) > began and noted(path.parent) >= least
        for path in store.glob("killed/checkpoints/*/progress.json")
    ):
        assert process.poll() is None, "the driver ended before its packs trained"
        assert time.time() < began + 180  # Ray starts slowly on a busy machine
        time.sleep(0.02)
    time.sleep(after_s)


def changed(path):
    """The time of a file's last change; 0 if it is gone by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # its pack has just ended
        return 0.0


def noted(folder):
    """The steps that a pack of the VAE is known to have executed; -1 for others."""
    try:
        is_vae = json.loads((folder / "manifest.json").read_text())["pack"]["task"] != "polynomial"
        return json.loads((folder / "progress.json").read_text())["executed"] if is_vae else -1
    except (OSError, ValueError):  # while it is written or removed
        return -1


@pytest.mark.ray
@pytest.mark.slow
def test_a_driver_killed_twice_ends_with_the_numbers_of_one_never_killed(tmp_path, start):
    steps, runs = 1500, 36
    whole = start("whole", "--inline", steps=steps)  # the same numbers, without a start of Ray
    assert whole.wait() == 0
    for least in (1, 0):  # the second kill comes before anything new is noted
        process = start("cut", steps=steps)
        wait_for_progress(tmp_path / "cut", process, 0.1, least)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list((tmp_path / "cut").glob("killed/checkpoints/*/manifest.json")), "nothing to cut"
    last = start("cut", steps=steps)
    assert last.wait() == 0
    found = raysweep.open(tmp_path / "cut", "killed")
    assert found.runs().num_rows == len(set(found.runs()["run_id"].to_pylist())) == runs
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    twice = found.sql("select count(*) - count(distinct (run_id, step)) as n from curves")
    assert twice["n"].to_pylist() == [0]
    repeated = found.sql("select sum(steps_executed - steps) as n from runs")["n"].to_pylist()[0]
    # Each kill repeats at most what was trained since the last checkpoint of each pack in flight,
    # and nothing at all if it comes right after one.
    assert 0 <= repeated <= repeatable(found, kills=2, checkpoint_s=2)


@pytest.mark.slow
def test_a_sweep_of_listops_killed_in_training_ends_with_the_same_metrics_and_curves(
    tmp_path, start
):
    steps, seeds = 400, 2

    def begin(store):
        return start(store, "--inline", steps=steps, checkpoint_s=0, sweep=PARSING)

    cut = begin("cut")
    saved = wait_for_state(tmp_path / "cut", cut, least=30)
    cut.send_signal(signal.SIGKILL)
    cut.wait()
    assert begin("cut").wait() == 0
    spec = YAML(typ="safe").load(tmp_path / "killed.yaml")
    raysweep.run(spec, store=tmp_path / "whole", inline=True)
    rows = [measured(tmp_path / store) for store in ("cut", "whole")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == seeds * (1 + steps // 10)
    repeated = "select sum(steps_executed - steps) as n from runs"
    found = raysweep.open(tmp_path / "cut", "killed").sql(repeated)["n"].to_pylist()
    assert found[0] < seeds * saved, "the pack began at its first step again"


def wait_for_state(store, process, least):
    """Waits until the state of a pack after so many steps is saved; returns its step."""
    began = time.time()
    while True:
        states = store.glob("killed/checkpoints/*/state-*.pt")
        steps = [int(path.name.split("-")[1]) for path in states]
        if max(steps, default=0) >= least:
            return max(steps)
        assert process.poll() is None, "the driver ended before it saved a state"
        assert time.time() < began + 180
        time.sleep(0.01)


def measured(store):
    """All metrics, at the end of each run and in the rows of its curve, without times."""
    results = raysweep.open(store, "killed")
    tables = [results.runs(), results.curves()]
    tables[0] = tables[0].select(
        ["run_id", *(name for name in tables[0].column_names if name.startswith("metric."))]
    )
    tables[1] = tables[1].drop_columns(["seconds"])
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: (row["run_id"], row.get("step", 0)))


def repeatable(found, *, kills, checkpoint_s):
    """Steps that the checkpoints allow to repeat, at the speed each pack was seen to have."""
    speed = found.sql("""select max(n) as most from (
        select pack_id, sum(steps) / max(seconds * replicas) as n from runs group by pack_id)""")
    slack = 2  # the clock is looked at once a second, and machines are noisy
    workers = len(os.sched_getaffinity(0))
    return kills * workers * slack * (checkpoint_s + 1) * speed["most"].to_pylist()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("--inline",), pytest.param((), marks=pytest.mark.ray)], ids=["inline", "ray"]
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_with_a_checkpoint_and_says_how_to_go_on(
    tmp_path, start, number, code, options
):
    if options == () and number != signal.SIGTERM:
        pytest.skip("one code path for every signal; one of three is enough on a cluster")
    process = start("store", *options, steps=50_000, checkpoint_s=600)
    wait_for_progress(tmp_path / "store", process, 0.5)
    process.send_signal(number)
    assert process.wait(timeout=14) == code
    out = (tmp_path / "output").read_text()
    assert "resume from the checkpoints" in out
    states = list((tmp_path / "store" / "killed" / "checkpoints").glob("*/state-*.pt"))
    assert states
    assert not (tmp_path / "store" / "killed" / "lease").exists()

"""Drivers killed in the middle of a search with early stopping: nothing lost, nothing undone."""

import random
import signal
import statistics
import subprocess
import sys
import time

import pytest

import raysweep
from raysweep.scheduling.scheduler import Schedule
from raysweep.search.judge import Judge
from raysweep.store.decisions import batches
from raysweep.sweepfile.reader import read_spec

CONFIGURATIONS, SEEDS = 20, 3
SWEEP = f"""
name: searched
tasks:
  bowl:
    task: bowl
    x: {{low: -1.0, high: 1.0}}
    y: {{low: -1.0, high: 1.0}}
    delay_s: 0.006
    steps: 81
    report_every: 3
estimators:
  A: {{estimator: straight_through}}
  B: {{estimator: reinmax}}
seeds: {SEEDS}
search: {{sampler: tpe, configurations: {CONFIGURATIONS}}}
early_stopping: {{pruner: asha, grace: 9, reduction: 3}}
resources: {{checkpoint_s: 0.2}}
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep whose driver was killed at three random moments, and what each session found."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "sweep.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "raysweep.cli.main", "run", str(folder / "sweep.yaml")]
    command += ["--store", str(folder), "--inline"]
    chance, found = random.Random(5), []
    for _ in range(3):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for_work(folder / "searched", process)
        time.sleep(chance.uniform(0.3, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found.append(view(folder))
    subprocess.run(command, check=True, capture_output=True)
    return raysweep.open(folder, "searched"), found


def wait_for_work(sweep, process):
    """Waits until this driver's first pack trains."""
    began = time.time()
    while not any(
        each.stat().st_mtime > began for each in sweep.glob("checkpoints/*/manifest.json")
    ):
        assert process.poll() is None, "the driver ended before its packs trained"
        assert time.time() < began + 180  # Ray starts slowly on a busy machine
        time.sleep(0.01)


def view(folder):
    """What a session that starts now would know: values by configuration, and the study's."""
    results = raysweep.open(folder, "searched")
    schedule = Schedule(read_spec(folder / "sweep.yaml"), results.store)
    told = {}
    for search in schedule.arms:
        for trial in search.study.study.trials:
            if trial.state.is_finished():
                told[search.arm.configuration(trial.params).configuration_id] = trial.value
    return ended_configurations(results), told


def ended_configurations(results):
    """Mean over seeds by configuration, of those whose seeds all have a row."""
    rows = {}
    for row in results.runs().to_pylist():
        rows.setdefault(row["configuration_id"], []).append(row["metric.train_loss"])
    return {key: statistics.fmean(each) for key, each in rows.items() if len(each) == SEEDS}


@pytest.mark.slow
def test_every_arm_ends_with_the_configurations_asked_for(killed):
    counted = killed[0].sql(
        "select estimator, count(distinct configuration_id) n, count(*) r from runs group by all"
    )
    assert counted["n"].to_pylist() == [CONFIGURATIONS] * 2
    assert counted["r"].to_pylist() == [CONFIGURATIONS * SEEDS] * 2


@pytest.mark.slow
def test_no_run_is_lost_or_repeated(killed):
    results, _ = killed
    ids = results.runs()["run_id"].to_pylist()
    assert len(ids) == len(set(ids))
    twice = "select count(*) - count(distinct (run_id, step)) as n from curves"
    assert results.sql(twice)["n"].to_pylist() == [0]
    assert not results.store.files.folders("checkpoints")


@pytest.mark.slow
def test_a_configuration_ends_as_one(killed):
    """All its seeds are done, or all were stopped at the same step."""
    ends = killed[0].sql(
        "select configuration_id, count(distinct (status, steps)) as n from runs group by all"
    )
    assert set(ends["n"].to_pylist()) == {1}


@pytest.mark.slow
def test_each_session_knew_all_that_had_ended(killed):
    for ended, told in killed[1]:
        assert told == pytest.approx(ended, rel=1e-12)
    assert len(killed[1][-1][0]) > 0


@pytest.mark.slow
def test_the_rows_follow_the_decisions(killed):
    results, _ = killed
    stopped = results.sql(
        "select distinct configuration_id, steps from runs where status = 'stopped' order by all"
    )
    decided = results.sql(
        "select distinct configuration_id, step as steps from decisions where stopped order by all"
    )
    assert stopped.to_pylist() == decided.to_pylist()
    assert 0 < stopped.num_rows < 2 * CONFIGURATIONS


@pytest.mark.slow
def test_the_values_decided_by_are_the_means_of_the_curves(killed):
    pairs = killed[0].sql(
        """select d.value, avg(c.train_loss) as mean, count(*) as n from decisions d
        join runs r using (configuration_id) join curves c on c.run_id = r.run_id
        and c.step = d.step group by d.configuration_id, d.step, d.value"""
    )
    assert set(pairs["n"].to_pylist()) == {SEEDS}
    assert pairs["value"].to_pylist() == pytest.approx(pairs["mean"].to_pylist(), rel=1e-12)


@pytest.mark.slow
def test_the_decisions_replayed_from_the_store_are_those_that_were_taken(killed):
    results, _ = killed
    taken = batches(results.store.dataset("decisions").to_table())
    replayed = []
    judge = Judge(results.spec.early_stopping, lambda found: replayed.append(list(found)))
    members = {}
    for row in results.runs().to_pylist():
        members.setdefault((row["estimator"], row["configuration_id"]), []).append(row["run_id"])
    for (arm, configuration_id), run_ids in members.items():
        judge.opened(arm, results.spec.arms[0].length, configuration_id, run_ids)
    runs = {key: run_ids for (_, key), run_ids in members.items()}
    for sitting in taken:
        values = {run: each.value for each in sitting for run in runs[each.configuration_id]}
        judge.ask(sitting[0].step, values, sitting[0].last)
    assert [[(d.configuration_id, d.stopped) for d in each] for each in replayed] == [
        [(d.configuration_id, d.stopped) for d in each] for each in taken
    ]

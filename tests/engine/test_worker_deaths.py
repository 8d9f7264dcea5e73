"""Workers that hang, that Ray kills for their memory, or that die with their node."""

import json
import os
import subprocess
import sys
import time

import pytest

import raysweep

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SWEEP = """
name: deaths
tasks: {tasks}
estimators: {{ST: {{estimator: straight_through}}}}
seeds: {seeds}
resources: {{pack: 2, checkpoint_s: 600}}
"""


@pytest.fixture
def start(tmp_path):
    """Starts the command line on a Ray of its own, or on a cluster."""

    def begin(task, *options, seeds, **environment):
        spec = tmp_path / "deaths.yaml"
        tasks = json.dumps({"walk": {"task": "toy", **task}})
        spec.write_text(SWEEP.format(tasks=tasks, seeds=seeds))
        command = [sys.executable, "-m", "raysweep.cli.main", "run", spec, *options]
        with (tmp_path / "output").open("w") as output:
            return subprocess.Popen(
                [*command, "--store", tmp_path / "store"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    return begin


def test_a_run_that_hangs_fails_and_its_pack_mate_ends(shared_ray, tmp_path, toy, trouble):
    trouble.make(hang=[1], at=5)
    spec = toy(task=trouble.task, training={"lr": 0.1}, seeds=2, resources={"patience_s": 5})
    rows = raysweep.run(spec, store=tmp_path / "store").runs().to_pylist()
    ends = {row["seed"]: (row["status"], row["error"]) for row in rows}
    assert ends[0] == ("done", None)
    assert ends[1][0] == "failed"
    assert "no step for 5 s (resources.patience_s)" in ends[1][1]


def test_runs_that_the_memory_monitor_kills_fail_and_the_session_ends_well(tmp_path, start):
    killer = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "4000"}
    driver = start({"steps": 1000, "delay_s": 0.05}, seeds=2, **killer)
    assert driver.wait(timeout=150) == 1
    rows = raysweep.open(tmp_path / "store", "deaths").runs().to_pylist()
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert all(row["error"].startswith("out of memory") for row in rows)
    assert "Traceback" not in (tmp_path / "output").read_text()


def wait_for_training(folder, driver, after):
    """Waits until a pack trains, on a worker that began after that time."""
    end = time.time() + 90
    while not any(
        path.stat().st_mtime > after for path in folder.glob("checkpoints/*/manifest.json")
    ):
        assert driver.poll() is None, "the driver ended too early"
        assert time.time() < end
        time.sleep(0.1)


def test_a_run_whose_node_is_lost_twice_ends_without_a_failure(tmp_path, start, cluster):
    node = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    driver = start({"steps": 200, "delay_s": 0.05}, "--address", cluster.address, seeds=1)
    for _ in range(2):
        wait_for_training(tmp_path / "store" / "deaths", driver, time.time())
        cluster.remove_node(node, allow_graceful=False)
        node = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    assert driver.wait(timeout=120) == 0
    rows = raysweep.open(tmp_path / "store", "deaths").runs().to_pylist()
    assert [(row["status"], row["attempts"]) for row in rows] == [("done", 1)]
    assert not list((tmp_path / "store" / "deaths").glob("attempts/*"))

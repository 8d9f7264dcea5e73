"""Functions whose code is edited between two sessions, and code that Ray sends to workers."""

import os
import subprocess
import sys

import pytest

import raysweep
from raysweep.errors import StoreError

TASK = """
import os, time, torch, raysweep


@raysweep.task(metrics={{"train_loss": "min"}})
def net(run, *, steps: int = 50):
    model = torch.nn.Linear({features}, 1)
    run.track(model=model)
    for step in run.steps(steps):
        if step == 20 and not os.path.exists({go!r}):
            os.kill(os.getpid(), 9)
        time.sleep(0.1 * (step < 20))
        run.report(train_loss=step)
    run.log(f"file {{__file__}}")
"""
SWEEP = """
name: net
tasks: {t: {task: net}}
methods: {A: {}}
seeds: 1
resources: {checkpoint_s: 0}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "net.yaml").write_text(SWEEP)

    def call(*options, features=2):
        (tmp_path / "code").mkdir(exist_ok=True)
        text = TASK.format(features=features, go=str(tmp_path / "go"))
        (tmp_path / "code" / "net.py").write_text(text)
        words = ["run", "net.yaml", "--code", "code/net.py", "--store", "store", *options]
        return subprocess.run(
            [sys.executable, "-m", "raysweep.cli.main", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        )

    return call


@pytest.mark.slow
def test_a_checkpoint_of_former_code_is_told_with_file_and_line_and_the_run_starts_over(
    run, tmp_path
):
    assert run("--inline").returncode == -9
    (tmp_path / "go").touch()
    ended = run("--inline", features=3)
    assert ended.returncode == 0
    [line] = [line for line in ended.stderr.splitlines() if "cannot be restored" in line]
    assert "(net (net.py:5): the saved state of 'model' does not fit: RuntimeError" in line
    assert line.endswith("and its run starts over")
    [row] = raysweep.open(tmp_path / "store", "net").runs().to_pylist()
    assert (row["status"], row["steps"]) == ("done", 50)


@pytest.mark.ray
@pytest.mark.slow
def test_workers_on_another_node_import_the_code_that_ray_sends_them(run, tmp_path, cluster):
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    (tmp_path / "go").touch()
    assert run("--address", cluster.address).returncode == 0
    [log] = (tmp_path / "store" / "net" / "logs").glob("*.txt")
    assert "runtime_resources" in log.read_text()


def test_a_worker_without_the_code_says_what_to_do(tmp_path):
    from raysweep.code.modules import Code, Module
    from raysweep.code.workers import install

    with pytest.raises((raysweep.SpecError, StoreError), match="cannot be imported on this node"):
        install(Code((), (Module("not_here_at_all", str(tmp_path / "not_here_at_all.py")),)))

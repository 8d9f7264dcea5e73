"""deploy/slurm.sh without Slurm: commands of the same names write down how they are called."""

import os
import signal
import stat
import subprocess
import time

import pytest
from deploy_files import ROOT

SCRIPT = ROOT / "deploy" / "slurm.sh"
# A step ends when it is signalled, and writes the mode and the folder of the token.
SRUN = """
printf '%s\\n' "$*" >>"$CALLS/srun"
stat --format %a "$RAY_AUTH_TOKEN_PATH" >"$CALLS/token-mode"
echo "$RAY_AUTH_MODE" >"$CALLS/mode"
while [[ $1 == --* ]]; do shift; done
trap 'echo ended >>"$CALLS/steps"; exit 0' TERM
echo started >>"$CALLS/started"
if [[ -n ${REAL_STEPS:-} ]]; then exec "$@"; fi
while :; do sleep 0.05; done
"""
SCONTROL = """
printf '%s\\n' "$*" >>"$CALLS/scontrol"
if [[ $1 == show ]]; then printf 'node1\\nnode2\\nnode3\\n'; fi
"""
# Nodes are there once the steps are.
PYTHON = """
if [[ $1 == -c ]]; then echo secret; exit; fi
cat >/dev/null
until (($(wc -l 2>/dev/null <"$CALLS/started") >= (SLURM_JOB_NUM_NODES > 1 ? 2 : 1))); do
    sleep 0.02
done
cat "$CALLS/alive"
"""
RAY = """
printf '%s\\n' "$*" >>"$CALLS/ray"
trap 'echo ended >>"$CALLS/ray-ended"; exit 0' TERM
ls -ld "${3#--temp-dir=}" >"$CALLS/folder"
while :; do sleep 0.05; done
"""
RAYSWEEP = """
trap 'exit 143' TERM
printf '%s\\n' "$*" >"$CALLS/raysweep"
until [[ -e $CALLS/finish ]]; do sleep 0.05; done
exit "$(cat "$CALLS/finish")"
"""
FAKES = {"srun": SRUN, "scontrol": SCONTROL, "python": PYTHON, "ray": RAY, "raysweep": RAYSWEEP}


class Job:
    """A job of three nodes, with a folder of the calls that it makes."""

    def __init__(self, folder):
        self.calls = folder / "calls"
        self.home = folder / "home"
        self.bin = self.home / "raysweep" / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        self.calls.mkdir()
        for name, text in FAKES.items():
            path = self.bin / name
            path.write_text(f"#!/usr/bin/env bash\n{text}")
            path.chmod(0o755)
        self.write("alive", 3)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CALLS": str(self.calls),
            "SLURM_JOB_ID": "123456",
            "SLURM_JOB_NODELIST": "node[1-3]",
            "SLURM_JOB_NUM_NODES": "3",
            "SLURM_CPUS_PER_TASK": "16",
            "SLURM_GPUS_ON_NODE": "4",
        }

    def write(self, name, value):
        (self.calls / name).write_text(str(value))

    def read(self, name):
        path = self.calls / name
        return path.read_text() if path.exists() else ""

    def start(self, *arguments, **changes):
        self.process = subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            env={name: value for name, value in {**self.env, **changes}.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, name):
        """Waits until a call was made."""
        deadline = time.monotonic() + 60
        while not self.read(name):
            assert time.monotonic() < deadline, name
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)

    def end(self):
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    def steps(self):
        """The options of srun and those of Ray, of both steps."""
        lines = [line for line in self.read("srun").splitlines() if "--overlap" in line]
        lasts = [line for line in self.read("srun").splitlines() if "--num-cpus" in line]
        return sorted(zip(lines, lasts, strict=True), key=lambda step: "--head" not in step[1])


@pytest.fixture
def job(tmp_path):
    job = Job(tmp_path)
    yield job
    if job.process.poll() is None:
        job.process.kill()


@pytest.fixture
def ended(job):
    """A job whose sweep ended well."""
    job.write("finish", 0)
    job.start("sweep.yaml", "--store", "/shared/sweeps")
    assert job.end() == (0, "")
    return job


def test_the_head_starts_on_the_first_node_and_workers_on_the_others(ended):
    (head, _), (workers, _) = ended.steps()
    assert "--nodes=1 --ntasks=1 --ntasks-per-node=1 --nodelist=node1" in head
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1 --exclude=node1" in workers


def test_ray_has_the_port_of_the_job_and_its_cpus_and_gpus(ended):
    (_, head), (_, workers) = ended.steps()
    port = 20000 + 123456 % 20000
    assert f"--head --port={port} --include-dashboard=false" in head
    assert f"--address=node1:{port}" in workers
    assert all("--num-cpus=16 --num-gpus=4" in step for step in (head, workers))


def test_the_sweep_runs_on_that_ray_with_the_options_of_the_script(ended):
    assert ended.read("raysweep").split() == (
        f"run sweep.yaml --store /shared/sweeps --address node1:{20000 + 123456 % 20000}".split()
    )


def test_only_the_user_reads_the_token_and_it_is_removed(ended):
    assert ended.read("mode").strip() == "token"
    assert ended.read("token-mode").strip() == "600"
    assert not list(ended.home.glob(".raysweep-token*"))


def test_both_steps_are_ended_after_the_sweep(ended):
    assert ended.read("steps").splitlines() == ["ended", "ended"]


def test_the_exit_code_is_that_of_the_sweep(job):
    job.write("finish", 1)
    job.start("sweep.yaml")
    assert job.end()[0] == 1
    assert "requeue" not in job.read("scontrol")


def test_before_the_time_limit_the_sweep_stops_and_the_job_is_queued_again(job):
    job.start("sweep.yaml")
    job.wait_for("raysweep")
    job.process.send_signal(signal.SIGUSR1)
    code, output = job.end()
    assert code == 143
    assert "queued again" in output
    assert "requeue 123456" in job.read("scontrol")
    assert job.read("steps").splitlines() == ["ended", "ended"]


def test_a_job_that_is_cancelled_stops_the_sweep_and_is_not_queued_again(job):
    job.start("sweep.yaml")
    job.wait_for("raysweep")
    job.process.terminate()
    assert job.end()[0] == 143
    assert "requeue" not in job.read("scontrol")
    assert not list(job.home.glob(".raysweep-token*"))


def test_nodes_that_do_not_come_end_the_job_in_one_line(job):
    job.write("alive", 2)
    job.start("sweep.yaml", RAYSWEEP_PATIENCE_S="1")
    code, output = job.end()
    assert (code, output) == (1, "fewer than 3 nodes joined Ray in 1 s\n")
    assert not job.read("raysweep")


def test_a_job_of_one_node_has_no_other_step(job):
    job.write("finish", 0)
    job.start("sweep.yaml", SLURM_JOB_NUM_NODES="1")
    assert job.end()[0] == 0
    assert len(job.steps()) == 1


def test_a_node_without_gpus_has_none(job):
    job.write("finish", 0)
    job.start("sweep.yaml", SLURM_GPUS_ON_NODE="")
    assert job.end()[0] == 0
    assert all("--num-gpus=0" in step for _, step in job.steps())


def test_ray_s_folder_on_a_node_is_private_and_removed(job, tmp_path):
    job.start("sweep.yaml", SLURM_JOB_ID=str(os.getpid()), REAL_STEPS="1", SLURM_JOB_NUM_NODES="1")
    job.wait_for("folder")
    assert stat.filemode(stat.S_IFDIR | 0o700) == job.read("folder").split()[0]
    folder = job.read("folder").split()[-1]
    job.write("finish", 0)
    assert job.end()[0] == 0
    assert job.read("ray-ended")
    assert not os.path.exists(folder)


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (["sweep.yaml"], {"SLURM_JOB_ID": ""}, "no Slurm job; submit this script"),
        ([], {}, "no sweep file; usage"),
    ],
    ids=["no job", "no file"],
)
def test_a_wrong_call_is_named_in_one_line(job, arguments, changes, message):
    job.start(*arguments, **changes)
    code, output = job.end()
    assert code == 2
    assert message in output
    assert len(output.splitlines()) == 1


def test_options_of_sbatch_come_before_the_first_command():
    lines = SCRIPT.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith("#SBATCH")]
    assert "#SBATCH --signal=B:USR1@180" in lines[:first]

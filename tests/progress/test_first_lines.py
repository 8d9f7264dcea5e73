"""A session says at once what it does: what it resumes, what starts, and what is not used."""

import contextlib
import json
import re
import subprocess
import sys

import pytest

import raysweep
from raysweep.driver import session
from raysweep.engine import inline, machine, work
from raysweep.formats.status import status_text
from raysweep.store.sweep_store import SweepStore

SWEEP = {
    "name": "said",
    "tasks": {"walk": {"task": "toy", "steps": 40}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 4,
    "resources": {"pack": 2, "checkpoint_s": 0},
}


class Lines:
    """A display that keeps the lines.

    Args:
        note: Function that is called with the progress of packs.
    """

    def __init__(self, note=lambda progress: None):
        self.lines, self.note = [], note

    def say(self, lines):
        self.lines += lines

    @contextlib.contextmanager
    def watching(self, schedule):
        yield self.note


def drive(tmp_path, display, **options):
    spec = session.load({**SWEEP, **options.pop("changes", {})})
    return session.drive(
        spec, store=tmp_path, data=None, address=None, inline=True, progress=display, **options
    )


def test_a_new_sweep_resumes_nothing(tmp_path):
    display = Lines()
    drive(tmp_path, display)
    assert display.lines == []


def test_runs_that_ended_and_packs_that_began_are_said_first(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "SLICE_S", 0.0)  # a report after every step
    drive(tmp_path, Lines(), changes={"seeds": 2})
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        drive(tmp_path, Lines())
    display = Lines()
    drive(tmp_path, display)
    assert display.lines[0] == "resuming: 2 of 4 runs ended, 1 pack from step 5"


def stop_after(patch, reports):
    """Stops the session after so many reports of a pack."""
    real = inline.run_inline

    def run(schedule, job, stopping, watch, **options):
        seen = []

        def note(progress):
            seen.append(progress)
            watch(progress)

        real(schedule, job, lambda: len(seen) > reports or stopping(), note, **options)

    patch.setattr(inline, "run_inline", run)


def test_a_gpu_that_is_not_used_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "visible_gpus", lambda: 2)
    display = Lines()
    drive(tmp_path, display)
    assert "2 GPUs will not be used; set resources: {gpu: 1}" in display.lines[0]


@pytest.mark.slow
def test_a_trial_run_needs_no_ray(tmp_path):
    # In a process of its own, where Ray cannot be imported.
    code = "import sys; sys.modules['ray'] = None; from raysweep.cli.main import main; main({})"
    spec = tmp_path / "sweep.json"
    spec.write_text(json.dumps(SWEEP))
    words = ["run", str(spec), "--smoke", "--store", str(tmp_path)]
    subprocess.run([sys.executable, "-c", code.format(words)], check=True, capture_output=True)
    assert raysweep.open(tmp_path, "said-smoke").runs().num_rows == 1


def test_status_shows_the_step_and_loss_of_a_pack_in_training(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "SLICE_S", 0.0)
    monkeypatch.setattr("raysweep.engine.pack.PROGRESS_S", 0.0)
    texts = []

    def look(progress):
        texts.append(status_text(str(tmp_path), "said"))

    drive(tmp_path, Lines(look), changes={"resources": {"pack": 4, "checkpoint_s": 60}})
    assert any(re.search(r"\(4 runs, step 39 of 40, train_loss \d", text) for text in texts)
    assert SweepStore(str(tmp_path), "said").count("runs") == 4

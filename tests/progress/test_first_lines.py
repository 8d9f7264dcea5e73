"""A session says at once what it does: what it resumes, what starts, and what is not used."""

import json
import re
import subprocess
import sys

import pytest
from stopped_helpers import Lines, stopped
from stopped_helpers import drive as drive_file

import raysweep
from raysweep.engine import machine, work
from raysweep.formats.status import status_text
from raysweep.store.sweep_store import SweepStore

SWEEP = {
    "name": "said",
    "tasks": {"walk": {"task": "toy", "steps": 40}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "seeds": 4,
    "resources": {"pack": 2, "checkpoint_s": 0},
}


def drive(tmp_path, display, **options):
    return drive_file(tmp_path, {**SWEEP, **options.pop("changes", {})}, display, **options)


def test_a_new_sweep_resumes_nothing(tmp_path):
    display = Lines()
    drive(tmp_path, display)
    assert display.lines == []


def test_runs_that_ended_and_packs_that_began_are_said_first(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "SLICE_S", 0.0)  # a report after every step
    drive(tmp_path, Lines(), changes={"seeds": 2})
    stopped(monkeypatch, tmp_path, SWEEP, 5)
    display = Lines()
    drive(tmp_path, display)
    assert display.lines[0] == "resuming: 2 of 4 runs ended, 1 pack from step 5"


def test_runs_to_be_trained_again_are_said_and_are_not_resumed(tmp_path, monkeypatch):
    drive(tmp_path, Lines(), changes={"seeds": 2})
    stopped(monkeypatch, tmp_path, SWEEP, 5)
    display = Lines()
    drive(tmp_path, display, again="seed in (1, 2)")
    assert display.lines == [
        "training again from the start: 1 run and 1 unfinished pack",
        "resuming: 1 of 4 runs ended",
    ]


def test_a_session_without_anything_to_train_says_so(tmp_path):
    drive(tmp_path, Lines())
    display = Lines()
    drive(tmp_path, display)
    assert display.lines == ["nothing to train: 4 runs ended before"]


def test_a_stopped_search_counts_the_runs_that_it_has_yet_to_add(tmp_path, monkeypatch):
    search = {"sampler": "tpe", "configurations": 5}
    sweep = {
        **SWEEP,
        "training": {"lr": {"low": 0.1, "high": 0.2}},
        "seeds": {"search": 2, "report": 3},
        "search": search,
    }
    session = stopped(monkeypatch, tmp_path, sweep, 5)
    assert (session.missing, session.is_bound) == (5 * 2 + 3, True)


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

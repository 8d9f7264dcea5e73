"""The progress of a sweep that a service trains: its line, its end, and its panel."""

import io

import pytest
from rich.console import Console

from raysweep.progress.remote import RemotePanel, RemoteProgress, RemoteView

QUIET = {"packs": [], "silent_s": {}, "left_s": None, "problem": "", "arms": []}
PACK = {"pack_id": "a" * 16, "runs": 4, "step": 50, "steps": 100, "metric": "loss", "value": 0.25}
NEW = {"pack_id": "b" * 16, "runs": 2, "step": 0, "steps": 0, "metric": None, "value": None}


def state(state="running", done=0, planned=12, failed=0, **more):
    """A state as a service sends it."""
    runs = {"planned": planned, "done": done, "diverged": 0, "stopped": 0, "failed": failed}
    return {**QUIET, "state": state, "runs": runs, **more}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (state("queued"), "0 of 12 runs, queued"),
        (
            state("queued", done=3, problem="the driver was killed by signal 9; again in 5 s"),
            "3 of 12 runs, queued (the driver was killed by signal 9; again in 5 s)",
        ),
        (state(), "0 of 12 runs"),
        (state(done=3), "3 of 12 runs, 25 % of the work"),
        (
            state(done=3, packs=[PACK], left_s=100.0),
            "3 of 12 runs, 41 % of the work, 1 pack at step 50 of 100, about 1 min 40 s left",
        ),
        (state(packs=[NEW]), "0 of 12 runs, 1 pack in training"),
        (state(done=2, failed=1), "3 of 12 runs, 25 % of the work, 1 failed"),
        (
            state(packs=[PACK], silent_s={"a" * 16: 120.0}),
            "0 of 12 runs, 16 % of the work, 1 pack at step 50 of 100, "
            "no step of pack aaaaaaaaaaaaaaaa for 2 min 0 s",
        ),
        (state(done=3, planned=None), "3 runs"),
    ],
)
def test_the_line_says_how_far_the_sweep_is(given, line):
    assert RemoteView(given).line() == line


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (state("done", done=12), "12 of 12 runs in 5 s"),
        (state("failed", done=10, failed=2), "12 of 12 runs, 2 failed"),
        (state("stopped", done=4), "4 of 12 runs"),
    ],
)
def test_the_end_says_what_ended(given, line):
    times = iter([0.0, 5.0])
    assert RemoteView(given, lambda: next(times)).end() == line


def text(panel, width, height):
    """The panel as text."""
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(panel.render(width, height))
    return console.file.getvalue()


def arm(name):
    return {"arm": name, "done": 3, "diverged": 0, "stopped": 1, "failed": 0}


def test_the_panel_has_arms_and_packs():
    view = RemoteView(state(done=3, packs=[PACK, NEW], arms=[arm("ST · walk"), arm("\x1b[31m")]))
    shown = text(RemotePanel(view), 100, 30)
    assert "3 of 12 runs, 41 % of the work" in shown
    assert "ST · walk" in shown
    assert "50 of 100" in shown
    assert "loss 0.25" in shown
    assert "starting" in shown
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


def test_a_panel_of_many_arms_fits_a_low_terminal():
    view = RemoteView(state(arms=[arm(f"arm {at}") for at in range(40)], packs=[PACK]))
    shown = text(RemotePanel(view), 80, 20)
    assert shown.count("\n") < 20
    assert "more arms" in shown


def test_progress_without_a_terminal_is_lines():
    console = Console(file=io.StringIO(), width=80)
    with RemoteProgress(console).following(state("queued")) as note:
        note(state("done", done=12))
    assert console.file.getvalue().splitlines() == ["0 of 12 runs, queued", "12 of 12 runs in 0 s"]


def test_progress_in_a_terminal_ends_with_a_line():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with RemoteProgress(console).following(state("queued", arms=[arm("ST")])) as note:
        note(state("failed", done=11, failed=1))
    assert console.file.getvalue().endswith("12 of 12 runs, 1 failed\n")

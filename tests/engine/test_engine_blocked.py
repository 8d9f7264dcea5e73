"""Planned runs that can never run: fresh seeds of arms without a configuration to select."""

import pytest

from raysweep.api import Results
from raysweep.cli.main import main
from raysweep.cli.plan_text import plan_text
from raysweep.driver import session
from raysweep.formats.status import status_text

FRESH = {"seeds": {"search": 2, "report": 3}}
REASON = (
    "ST · walk: none of its 2 configurations finished all seeds (2 diverged), so its 3 report "
    "seeds cannot run; change its settings, or leave it out of the file"
)


@pytest.fixture
def drive(tmp_path):
    """Runs a session, and returns how it ended."""

    def run(spec):
        return session.drive(
            session.load(spec),
            store=tmp_path / "store",
            data=None,
            address=None,
            inline=True,
            progress=None,
        )

    return run


@pytest.fixture
def hopeless(toy, trouble):
    """A sweep with a seed of the search that diverges."""
    trouble.make(nan=[1])
    return toy(task=trouble.task, **FRESH)


def test_the_session_ends_with_1_and_a_reason(drive, hopeless):
    for _ in range(2):
        ended = drive(hopeless)
        assert (ended.exit_code, list(ended.blocked), ended.missing) == (1, [REASON], 0)


def test_plan_and_status_say_it(drive, hopeless, tmp_path):
    drive(hopeless)
    plan = session.plan(session.load(hopeless), tmp_path / "store")
    assert f"\n{REASON}\n" in plan_text(plan)
    assert "will run their selected configuration" not in plan_text(plan)
    assert f"\n{REASON}\n" in status_text(str(tmp_path / "store"), "toys")


def test_the_command_says_it_on_stderr(hopeless, tmp_path, capsys):
    path = tmp_path / "toys.yaml"
    path.write_text(str(hopeless).replace("'", '"'))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(path), "--inline", "--store", str(tmp_path)])
    assert ended.value.code == 1
    assert f"\n{REASON}\n" in capsys.readouterr().err


def test_the_total_does_not_count_what_cannot_run(drive, hopeless, tmp_path):
    drive(hopeless)
    plan = session.plan(session.load(hopeless), tmp_path / "store")
    assert (len(plan.planned), plan.to_come) == (4, 0)


def test_other_arms_run_their_fresh_seeds(drive, toy, trouble):
    trouble.make(nan=[1])
    arms = {"tasks": {"bad": {"task": "toy", **trouble.task}, "good": {"task": "toy"}}}
    ended = drive(toy(**FRESH, **arms))
    assert ended.blocked == [REASON.replace("walk", "bad")]
    cells = {
        cell.task: cell.n
        for cell in Results(ended.store.store.uri, ended.store.sweep).table().cells
    }
    assert cells == {"bad": 0, "good": 3}


def test_a_single_configuration_is_not_counted(drive, toy, trouble):
    trouble.make(**{"raise": [0], "nan": [1]})
    (line,) = drive(toy(task=trouble.task, training={"lr": 0.1}, **FRESH)).blocked
    assert line.startswith(
        "ST · walk: its only configuration did not finish all seeds (failed), so its 3 report"
    )


def test_what_is_tried_again_can_still_run(drive, toy, trouble, tmp_path):
    spec = toy(task=trouble.task, **FRESH)
    trouble.make(**{"raise": [1]})
    assert len(drive(spec).blocked) == 1
    assert "report seeds cannot run" not in status_text(str(tmp_path / "store"), "toys")
    trouble.end()
    ended = drive(spec)
    assert (ended.exit_code, list(ended.blocked)) == (0, [])


def test_a_sweep_that_has_not_begun_is_not_blocked(toy, tmp_path):
    plan = session.plan(session.load(toy(**FRESH)), tmp_path)
    assert "report seeds cannot run" not in plan_text(plan)
    assert plan.to_come == 3

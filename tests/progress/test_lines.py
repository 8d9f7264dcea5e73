"""The line of progress moves while runs train, and lines come ever more seldom."""

import dataclasses
import io

import pytest
from rich.console import Console

from raysweep import progress
from raysweep.driver import session
from raysweep.progress import Panel, Progress, View, pause_s
from raysweep.sweep.outcomes import RunResult
from raysweep.sweepfile.reader import read_spec

STEPS = 4000


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self):
        return self.now


def view_of(folder, *, workers=2, seeds=4, tasks=1, **more):
    """The display of a session, with its clock."""
    spec = read_spec(
        {
            "name": "slow",
            "tasks": {
                f"task {index}": {"task": "toy", "steps": STEPS * index, "size": index}
                for index in range(1, tasks + 1)
            },
            "estimators": {"A": {"estimator": "straight_through"}},
            "seeds": seeds,
            "resources": {"pack": 2},
            **more,
        }
    )
    schedule = session.plan(spec, folder)
    schedule.size = dataclasses.replace(schedule.size, workers=workers)
    return View(schedule, Clock())


def reach(view, pack, step, **more):
    """Tell the display that a pack has reached a step."""
    steps = pack.runs[0].settings["training.steps"]
    view.note({"pack_id": pack.pack_id, "step": step, "steps": steps, **more})


def end(view, pack, status="done"):
    """Tell the schedule that the runs of a pack have ended."""
    view.schedule.in_flight.take(pack.pack_id)
    for run in pack.runs:
        view.schedule.ended[run.run_id] = RunResult(status, (0.5,), STEPS, 10.0)


def test_the_line_moves_with_every_step_although_no_run_ends(tmp_path):
    view = view_of(tmp_path)
    first, second = (view.schedule.next_pack() for _ in range(2))
    reach(view, first, 0)
    view.clock.now += 60
    reach(view, first, 1200)
    reach(view, second, 1800)
    assert view.line().startswith(
        "0 of 4 runs, 37 % of the work, 2 packs at steps 1,200–1,800 of 4,000, about "
    )
    reach(view, first, 1210)
    assert "37 % of the work, 2 packs at steps 1,210–1,800 of 4,000" in view.line()


def test_a_small_share_of_the_work_has_a_decimal_which_moves(tmp_path):
    view = view_of(tmp_path)
    reach(view, view.schedule.next_pack(), 96)
    assert "1.2 % of the work, 1 pack at step 96 of 4,000" in view.line()


def test_packs_of_different_lengths_have_their_share_of_steps(tmp_path):
    view = view_of(tmp_path, tasks=2)
    for step, pack in zip((1000, 4000), iter(view.schedule.next_pack, None), strict=False):
        reach(view, pack, step)
    assert "2 packs at 25–50 % of their steps" in view.line()


def test_steps_of_runs_that_ended_and_of_those_to_come_count(tmp_path):
    space = {"lr": {"low": 0.1, "high": 0.2}}
    search = {"sampler": "tpe", "configurations": 4}
    view = view_of(tmp_path, seeds=2, training=space, search=search)
    end(view, view.schedule.next_pack())
    assert view.line().startswith("2 of up to 8 runs, 25 % of the work")


def test_the_last_line_says_how_long_it_took(tmp_path):
    view = view_of(tmp_path, seeds=2)
    pack = view.schedule.next_pack()
    view.note({"pack_id": pack.pack_id, "began": True})
    view.clock.now += 125
    end(view, pack)
    assert view.end() == "2 of 2 runs in 2 min 5 s"


def test_the_last_line_counts_failed_runs(tmp_path):
    view = view_of(tmp_path, seeds=2)
    end(view, view.schedule.next_pack(), "failed")
    assert view.end() == "2 of 2 runs, 2 failed"


def test_a_search_that_hours_end_has_neither_a_share_nor_a_time_left(tmp_path):
    space = {"lr": {"low": 0.1, "high": 0.2}}
    view = view_of(tmp_path, training=space, search={"sampler": "random"}, budget={"hours": 1})
    pack = view.schedule.next_pack()
    for step in (0, 2000):
        view.clock.now += 60
        reach(view, pack, step)
    assert view.line() == "0 runs, 1 pack at step 2,000 of 4,000"


def test_lines_come_ever_more_seldom():
    pauses = [pause_s(elapsed) for elapsed in (0, 119, 120, 899, 900, 7199, 7200, 10**6)]
    assert pauses == [10, 10, 30, 30, 60, 60, 300, 300]


def drawn(panel, width=80, height=24):
    """The lines of the panel in a terminal of this size."""
    console = Console(width=width, height=height, file=io.StringIO())
    console.print(panel.render(width, height))
    return console.file.getvalue().splitlines()


REPORT = {"metric": "train_loss", "value": 0.000123456789}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_numbers_and_ids_are_never_cut_in_the_panel(tmp_path, width):
    tasks = {"a task with a rather long name, as the next one": {"task": "toy", "steps": STEPS}}
    spec = read_spec(
        {
            "name": "slow",
            "tasks": tasks,
            "estimators": {"an estimator with a long name": {"estimator": "straight_through"}},
            "seeds": 2,
        }
    )
    view = View(session.plan(spec, tmp_path), Clock())
    pack = view.schedule.next_pack()
    reach(view, pack, 1200, **REPORT)
    lines = drawn(Panel(view), width)
    (row,) = (line for line in lines if pack.pack_id in line)
    assert row.rstrip().endswith(f"{pack.pack_id}  1,200 of 4,000  0.00012346")
    assert "last train_loss" in lines[-2]
    assert all(len(line) <= width for line in lines)


def test_the_panel_keeps_its_height_and_its_columns_while_packs_come_and_end(tmp_path):
    view = view_of(tmp_path)
    panel = Panel(view)
    first, second = (view.schedule.next_pack() for _ in range(2))
    frames = [drawn(panel)]
    reach(view, first, 1200, **REPORT)
    frames.append(drawn(panel))
    end(view, first)
    frames.append(drawn(panel))
    end(view, second)
    frames.append(drawn(panel))
    assert len({len(frame) for frame in frames}) == 1
    assert len({frame[-3].index("step") for frame in frames[1:]}) == 1


def test_the_panel_fits_into_a_low_terminal(tmp_path):
    panel = Panel(view_of(tmp_path, tasks=40))
    panel.view.schedule.next_pack()
    lines = drawn(panel, height=24)
    assert len(lines) < 24
    assert any(line.startswith("and ") and line.endswith(" more arms") for line in lines)
    assert "starting" in lines[-1]


def test_metrics_of_different_names_are_named_with_their_values(tmp_path):
    view = view_of(tmp_path)
    for name, pack in zip(
        ("train_loss", "bound"), iter(view.schedule.next_pack, None), strict=False
    ):
        reach(view, pack, 10, metric=name, value=0.25)
    lines = drawn(Panel(view))
    assert {line.rpartition("4,000  ")[2].strip() for line in lines[-2:]} == {
        "train_loss 0.25",
        "bound 0.25",
    }


def test_a_line_is_shown_in_the_panel_if_there_is_one(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    display = Progress(console)
    assert not display.shows("stopping")
    with display.watching(view_of(tmp_path).schedule):
        assert display.shows("stopping: packs save their state")
    assert not display.shows("stopping")
    assert "stopping: packs save their state" in console.file.getvalue()


def test_a_panel_leaves_one_line_behind(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with Progress(console).watching(view_of(tmp_path).schedule):
        pass
    assert console.file.getvalue().endswith("\x1b[2K0 of 4 runs\n")


def test_lines_elsewhere_begin_with_the_present_state_and_end_with_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LINE_S", 1e6)
    out = io.StringIO()
    view = view_of(tmp_path, seeds=2)
    with Progress(Console(file=out)).watching(view.schedule) as note:
        pack = view.schedule.next_pack()
        note({"pack_id": pack.pack_id, "step": 0, "steps": STEPS})
        end(view, pack)
    first, last = out.getvalue().splitlines()
    assert first == "0 of 2 runs"
    assert last.startswith("2 of 2 runs in ")


def test_a_session_that_is_stopped_before_a_run_ends_does_not_repeat_its_line(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(progress, "LINE_S", 1e6)
    out = io.StringIO()
    with Progress(Console(file=out)).watching(view_of(tmp_path).schedule):
        pass
    assert out.getvalue() == "0 of 4 runs\n"

"""Commands that change sweeps of a service: login, submit, cancel, resume, extend, rm."""

import io
import json
import re

import pytest
from live_service import SWEEP

from raysweep.client.results import RemoteResults


def test_submit_says_where_to_look(user, live):
    live.jobs.held = True
    code, out, err = user("submit", "small.yaml")
    assert (code, err) == (0, "")
    assert out == (
        f"submitted small to {live.url}; 0 of 4 runs have ended\n"
        f"page: {live.url}/sweeps/small\n"
        "'raysweep status small' shows its progress, 'raysweep table small' its results, "
        "'raysweep cancel small' stops it\n"
    )


def test_commands_to_copy_name_a_server_that_is_not_the_default(user, live, monkeypatch):
    live.jobs.held = True
    monkeypatch.delenv("RAYSWEEP_SERVER")
    out = user("submit", "small.yaml", "--server", live.url)[1]
    assert f"'raysweep cancel small --server {live.url}' stops it" in out


def test_submit_and_watch_ends_with_the_table_and_where_results_are(user, live):
    code, out, err = user("submit", "small.yaml", "--watch")
    assert code == 0
    assert out == user("table", "small")[1] + f"results: {live.url}/sweeps/small\n"
    assert f"submitted small to {live.url}\n" in err
    assert re.search(r"^4 of 4 runs in \d+ s$", err, re.MULTILINE)


def test_a_failed_run_exits_with_1_and_still_prints_the_table(user, tmp_path):
    trouble = tmp_path / "trouble.json"
    trouble.write_text('{"raise": [1]}')
    change = f"tasks.walk.trouble={trouble}"
    code, out, err = user("submit", "small.yaml", "--watch", "--set", change)
    assert code == 1
    assert "mean ± std" in out
    assert "2 runs, such as" in err
    assert "RuntimeError: this seed is unlucky" in err
    assert "2 runs failed; 'raysweep resume small' retries those" in err


def test_a_sweep_that_cannot_run_exits_with_2(user, live):
    live.jobs.ends.append((2, "Job failed, last lines:\nraysweep: no such file: train-images\n"))
    code, out, err = user("submit", "small.yaml", "--watch")
    assert (code, out) == (2, "")
    assert err.endswith("raysweep: no such file: train-images\n")
    assert user("status", "small")[1].endswith("no such file: train-images\n")


def test_a_driver_that_dies_is_started_again(user, live):
    live.jobs.ends += [(-9, ""), (-9, "")]
    assert user("submit", "small.yaml", "--watch")[0] == 0


def test_an_interrupt_while_watching_leaves_the_sweep_and_exits_with_130(user, live, monkeypatch):
    live.jobs.held = True

    def interrupted(results):
        yield results.status()
        raise KeyboardInterrupt

    monkeypatch.setattr(RemoteResults, "events", interrupted)
    code, out, err = user("submit", "small.yaml", "--watch")
    assert (code, out) == (130, "")
    assert err.endswith(f"small continues on {live.url}; 'raysweep cancel small' stops it\n")
    assert live.service.sweeps.entry("small").submission.wanted == "running"


def test_a_sweep_that_somebody_cancels_ends_the_watching_with_1(user, live, monkeypatch):
    live.jobs.held = True
    events = RemoteResults.events

    def cancelled(results):
        results.cancel()
        yield from events(results)

    monkeypatch.setattr(RemoteResults, "events", cancelled)
    code, out, err = user("submit", "small.yaml", "--watch")
    assert (code, out) == (1, f"results: {live.url}/sweeps/small\n")
    assert "small was stopped\n4 runs still missing; 'raysweep resume small' resumes" in err


def test_smoke_trains_a_short_version_under_another_name(user, live):
    code, out, _ = user("submit", "small.yaml", "--smoke", "--watch")
    assert code == 0
    assert out.endswith(f"results: {live.url}/sweeps/small-smoke\n")
    rows = user("sql", "small-smoke", "select steps, seed from runs", "--format", "json")[1]
    assert [json.loads(row) for row in rows.splitlines()] == [{"steps": 3, "seed": 0}]


def test_changes_are_those_of_run(user, live, tmp_path):
    changes = ("--set", "seeds=1", "--set", "training.lr=0.5", "--set", "training.steps=7")
    assert user("submit", "small.yaml", "--watch", *changes)[0] == 0
    assert user("run", "small.yaml", "--inline", *changes, "--store", tmp_path / "here")[0] == 0
    query = ("select run_id from runs order by run_id", "--format", "csv")
    of_store = user("sql", "small", *query, "--store", tmp_path / "here")
    assert user("sql", "small", *query) == of_store


@pytest.mark.parametrize(
    "changes",
    [
        ["training.lrr=1"],
        ["tasks.walk.stepz=1", "seeds=no"],
        ["seeds"],
        ["tasks.walk.task.x=1"],
        ["seeds="],
    ],
)
def test_a_wrong_change_has_the_lines_of_run(user, tmp_path, changes):
    words = [word for change in changes for word in ("--set", change)]
    of_store = user("run", "small.yaml", "--inline", *words, "--store", tmp_path / "here")
    assert user("submit", "small.yaml", *words) == of_store
    assert of_store[:2] == (2, "")
    assert "--set" in of_store[2]


@pytest.mark.parametrize(
    "change",
    [
        ("toy", "tow"),
        ("seeds: 2", "seed: 2"),
        ("[1.0, 1.5]", "hot"),
        ("name: small", "name: Small!"),
        ("tasks:", "tasks"),
        (SWEEP, ""),
        (SWEEP, "- a\n"),
        ("seeds: 2", "seeds: [0, 0]"),
    ],
)
def test_mistakes_of_a_file_have_the_lines_of_run(user, tmp_path, change):
    (tmp_path / "small.yaml").write_text(SWEEP.replace(*change).replace("walk", "wälk"))
    of_store = user("run", "small.yaml", "--inline", "--store", tmp_path / "here")
    assert of_store[:2] == (2, "")
    assert user("submit", "small.yaml") == of_store


def test_a_file_that_is_not_there_is_named(user, tmp_path):
    of_store = user("run", "nofile", "--inline", "--store", tmp_path / "here")
    assert user("submit", "nofile") == of_store


def test_a_sweep_that_runs_is_not_submitted_again(user, live):
    live.jobs.held = True
    user("submit", "small.yaml")
    code, out, err = user("submit", "small.yaml")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"raysweep: small (runs|waits to run already); cancel it first\n", err)


def test_cancel_stops_and_resume_continues(user, live):
    live.jobs.held = True
    user("submit", "small.yaml")
    assert user("cancel", "small") == (
        0,
        "small stops; 'raysweep resume small' resumes it\n",
        "",
    )
    assert RemoteResults(connection(live), "small").wait()["state"] == "stopped"
    assert "'raysweep resume small' continues it" in user("status", "small")[1]
    live.jobs.held = False
    code, out, _ = user("resume", "small")
    assert (code, out) == (0, "small continues; 'raysweep status small' shows its progress\n")
    assert RemoteResults(connection(live), "small").wait()["state"] == "done"


def connection(live):
    """A connection of an admin."""
    from raysweep.client.connection import Connection

    return Connection(live.url, live.token())


def test_a_sweep_that_has_ended_cannot_be_cancelled(ended):
    code, out, err = ended("cancel", "small")
    assert (code, out) == (1, "")
    assert err == "raysweep: expected small to run or to wait, but it is done\n"


def test_extend_trains_more_seeds(ended, live):
    code, out, _ = ended("extend", "small", "--seeds", "3")
    assert (code, out.split(";")[0]) == (0, "small continues with 3 seeds")
    RemoteResults(connection(live), "small").wait()
    assert "6 of 6 planned runs ended" in ended("status", "small")[1]


def test_extend_names_the_option_of_a_number_that_is_too_small(ended):
    code, _, err = ended("extend", "small", "--seeds", "2")
    assert (code, err) == (2, "raysweep: --seeds: expected more than the present 2, got 2\n")


def test_a_short_version_is_not_extended(user):
    user("submit", "small.yaml", "--smoke", "--watch")
    code, _, err = user("extend", "small-smoke", "--seeds", "5")
    assert code == 1
    assert err == (
        "raysweep: small-smoke is a short version with one seed; extend the sweep itself\n"
    )


def test_a_short_version_continues_as_one(user, live):
    user("submit", "small.yaml", "--smoke", "--watch")
    user("resume", "small-smoke")
    assert RemoteResults(connection(live), "small-smoke").wait()["state"] == "done"
    assert "small " not in user("ls")[1]


def test_a_short_version_that_run_trained_continues_as_one(user, live):
    assert user("run", "small.yaml", "--inline", "--smoke", "--store", live.store)[0] == 0
    assert user("resume", "small-smoke")[0] == 0
    assert RemoteResults(connection(live), "small-smoke").wait()["runs"]["planned"] == 1
    assert "small " not in user("ls")[1]


def test_a_file_of_another_sweep_is_not_resumed(user, live, tmp_path):
    assert user("run", "small.yaml", "--inline", "--store", live.store)[0] == 0
    other = (tmp_path / "small.yaml").read_text().replace("name: small", "name: other")
    (tmp_path / "store" / "small" / "sweep.yaml").write_text(other)
    code, _, err = user("resume", "small")
    assert code == 2
    assert "the file of small names the sweep other; submit the right file again" in err


def test_a_sweep_that_waits_is_listed_and_has_a_status(user, live):
    live.jobs.held = True
    user("submit", "small.yaml")
    assert user("ls")[1].splitlines()[1].split() == ["small", "0", "no", "driver", "running"]
    assert "0 of 4 planned runs ended" in user("status", "small")[1]
    code, _, err = user("table", "small")
    assert code == 2
    assert err == "raysweep: small has no results yet, as no session of it has started\n"


def test_rm_asks_deletes_and_says_so_as_of_a_store(ended, live, monkeypatch):
    folder = f"{live.store}/small"
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = ended("rm", "small")
    assert (code, err) == (1, "nothing deleted\n")
    assert out.startswith(f"Delete 4 runs of small in {folder}?")
    assert ended("rm", "small", "--yes") == (0, f"deleted {folder}\n", "")
    assert ended("ls")[1].startswith("no sweeps in ")


def test_rm_of_some_runs_prints_what_it_does_of_a_store(ended, live, tmp_path):
    assert ended("run", "small.yaml", "--inline", "--store", tmp_path / "here")[0] == 0
    words = ("rm", "small", "--where", "seed = 0", "--yes")
    code, out, err = ended(*words, "--store", tmp_path / "here")
    user = ended(*words)
    assert user == (code, out.replace(str(tmp_path / "here"), live.store), err)
    assert out.startswith("deleted 2 of 4 runs of small in ")
    count = ("sql", "small", "select count(*) as n from runs", "--format", "csv")
    assert ended(*count)[1] == '"n"\n2\n'


def test_rm_of_no_run_has_the_line_of_a_store(ended, live):
    words = ("rm", "small", "--where", "seed = 9", "--yes")
    assert ended(*words) == ended(*words, "--store", live.store)


def test_logs_of_the_driver_are_those_that_it_printed(ended):
    code, out, _ = ended("logs", "small", "--driver")
    assert code == 0
    assert "4 of 4 runs in" in out
    assert ended("logs", "small", "--driver", "--tail", "1")[1].count("\n") == 1


def test_logs_of_the_driver_need_a_service(ended, live):
    code, _, err = ended("logs", "small", "--driver", "--store", live.store)
    assert code == 2
    assert err.startswith("raysweep: --driver needs --server")

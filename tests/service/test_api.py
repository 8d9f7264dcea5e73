"""The HTTP interface: what users do with sweeps, and what they read of them."""

import json
import time

import pytest
from ray.exceptions import AuthenticationError
from service_helpers import file_of

import raysweep
from raysweep.engine.jobs import RayJobs
from raysweep.errors import ClusterError
from raysweep.service.state import STATES
from raysweep.store import submission as submissions


def test_a_sweep_is_queued_then_runs_then_is_done(users):
    assert users.submit()["state"] == "queued"
    users.step()
    assert users.state() == "running"
    users.drive()
    users.step()
    shown = users.client("vera").get("sweeps/walks").json()
    assert shown["state"] == "done"
    assert shown["runs"] == {"planned": 4, "done": 4, "diverged": 0, "stopped": 0, "failed": 0}


def test_the_driver_is_started_once_with_the_store_and_the_sweep(users):
    users.submit()
    users.step()
    users.step()
    (command,) = users.jobs.commands.values()
    assert command[1:] == ["-m", "raysweep.service.drive", users.service.store.uri, "walks"]


def test_mistakes_of_a_file_are_refused_with_their_lines(users):
    text = file_of().replace("seeds: 2", "seed: 2").replace("toy", "tyo")
    answer = users.client("max").post("sweeps", content=text)
    assert answer.status_code == 422
    lines = [mistake["line"] for mistake in answer.json()]
    assert lines == [1, 3, 8]
    assert "did you mean 'toy'?" in answer.json()[1]["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe", "expected a sweep file as UTF-8 text"),
        (b"[" * 5000, "not valid YAML"),
        (b"name: a\nname: b\n", "name"),
        (b"&a [*a]", "contain themselves"),
        (b"!!python/object/apply:os.system [id]", "not a raysweep sweep file"),
    ],
    ids=["empty", "bytes", "deep", "twice", "loop", "object"],
)
def test_what_is_no_sweep_file_is_refused(users, content, message):
    answer = users.client("max").post("sweeps", content=content)
    assert answer.status_code == 422
    assert message in json.dumps(answer.json())


def test_checking_a_file_stores_nothing(users):
    answer = users.client("vera").post("sweeps/check", content=file_of())
    assert answer.json() == {"name": "walks", "planned": 4, "arms": 1, "exists": False}
    assert users.client("vera").get("sweeps").json() == []


def test_a_file_that_names_a_tracker_is_refused_unless_an_admin_allows_it(users):
    text = file_of() + "tracker: {tensorboard: /tmp/elsewhere}\n"
    answer = users.client("max").post("sweeps", content=text)
    assert answer.status_code == 422
    assert "expected no tracker" in answer.text


@pytest.mark.parametrize("path", ["/etc/passwd", "none.npz", "../x.npz"])
def test_a_file_that_names_a_file_of_the_host_is_refused_unseen(users, path):
    text = file_of().replace(
        "{task: toy, steps: 3}", f"{{task: bernoulli_vae, dataset: {{npz: {path}}}}}"
    )
    answer = users.client("max").post("sweeps/check", content=text)
    assert answer.json()[0]["message"].startswith("dataset: expected a known name, got a file")
    assert path not in answer.text


def test_a_sweep_that_waits_or_runs_cannot_be_submitted_again(users):
    users.submit()
    client = users.client("max")
    assert client.post("sweeps", content=file_of()).status_code == 409
    users.step()
    assert client.post("sweeps", content=file_of()).status_code == 409


def test_a_sweep_that_is_done_continues_with_a_larger_file(users):
    users.submit()
    users.step()
    users.drive()
    users.step()
    assert users.submit(seeds=3)["runs"]["planned"] == 4  # of the last session
    users.step()
    users.drive()
    users.step()
    assert users.client("max").get("sweeps/walks").json()["runs"]["done"] == 6


def test_cancelling_stops_the_driver_and_keeps_the_sweep(users):
    users.submit()
    users.step()
    client = users.client("max")
    assert client.post("sweeps/walks/cancel").status_code == 200
    users.step()
    users.step()
    assert users.jobs.stopped == [users.last_job()]
    users.jobs.end(users.last_job(), None, stopped=True)
    users.step()
    assert users.state() == "stopped"
    assert client.post("sweeps/walks/cancel").status_code == 409


def test_a_queued_sweep_leaves_the_queue_when_it_is_cancelled(users):
    users.submit()
    users.client("max").post("sweeps/walks/cancel")
    users.step()
    assert users.state() == "stopped"
    assert not users.jobs.commands


def test_a_sweep_cannot_resume_while_its_driver_stops(users):
    users.submit()
    users.step()
    client = users.client("max")
    client.post("sweeps/walks/cancel")
    answer = client.post("sweeps/walks/resume")
    assert answer.status_code == 409
    assert "is stopping" in answer.json()["detail"]


def test_a_cancelled_sweep_resumes(users):
    users.submit()
    client = users.client("max")
    client.post("sweeps/walks/cancel")
    assert client.post("sweeps/walks/resume").json()["state"] == "queued"


def test_a_sweep_is_extended_by_seeds(users):
    users.submit()
    users.step()
    users.drive()
    users.step()
    client = users.client("max")
    assert client.post("sweeps/walks/extend", json={"seeds": 5}).status_code == 200
    assert "seeds: 5" in client.get("sweeps/walks").json()["file"]
    users.step()
    users.drive()
    users.step()
    assert client.get("sweeps/walks").json()["runs"]["done"] == 10


@pytest.mark.parametrize("seeds", [1, 2])
def test_an_extension_needs_more_seeds(users, seeds):
    users.submit()
    client = users.client("max")
    client.post("sweeps/walks/cancel")
    answer = client.post("sweeps/walks/extend", json={"seeds": seeds})
    assert answer.status_code == 422
    assert answer.json()[0]["message"] == f"seeds: expected more than the present 2, got {seeds}"


def test_a_deleted_sweep_is_gone(users):
    users.submit()
    client = users.client("max")
    client.post("sweeps/walks/cancel")
    assert client.delete("sweeps/walks").status_code == 204
    assert client.get("sweeps/walks").status_code == 404
    assert users.service.store.folders() == [".service"]


def test_a_sweep_that_runs_cannot_be_deleted(users):
    users.submit()
    users.step()
    assert users.client("max").delete("sweeps/walks").status_code == 409


def test_a_sweep_of_the_command_line_is_shown_and_admins_may_continue_it(users, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(file_of())
    raysweep.run(path, store=users.service.store.uri, inline=True, quiet=True)
    users.step()
    assert users.client("vera").get("sweeps/walks").json()["owner"] is None
    assert users.state() == "done"
    assert users.client("max").post("sweeps/walks/resume").status_code == 403
    answer = users.client("ada").post("sweeps/walks/extend", json={"seeds": 3})
    assert (answer.json()["owner"], answer.json()["state"]) == ("ada", "queued")


def test_the_list_is_filtered_by_state_owner_and_text(users):
    users.submit(name="one")
    users.submit(name="two", user="mia")
    users.client("max").post("sweeps/one/cancel")
    client = users.client("vera")

    def names(**query):
        return [sweep["name"] for sweep in client.get("sweeps", params=query).json()]

    assert names() == ["two", "one"]
    assert names(state="queued") == ["two"]
    assert names(state=list(STATES)) == ["two", "one"]
    assert names(owner="max") == ["one"]
    assert names(search="TW") == ["two"]
    assert names(tag="none") == []


def test_priorities_above_the_usual_need_an_admin(users):
    client = users.client("max")
    assert client.post("sweeps?priority=1", content=file_of()).status_code == 403
    assert client.post("sweeps?priority=-101", content=file_of()).status_code == 422
    assert users.client("ada").post("sweeps?priority=1", content=file_of()).status_code == 201


def test_events_tell_the_progress_until_the_end(users):
    users.submit()
    users.step()
    events = []
    with users.client("vera").stream("GET", "sweeps/walks/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                events.append(line.removeprefix("event: "))
                if len(events) == 1:
                    users.drive()
                    users.step()
    assert events[0] == "progress"
    assert events[-1] == "end"


def test_history_and_audit_log_say_who_did_what(users):
    users.submit()
    users.client("ada").post("sweeps/walks/cancel")
    history = users.client("vera").get("sweeps/walks").json()["history"]
    assert [(event["user"], event["action"]) for event in history] == [
        ("max", "submitted"),
        ("ada", "cancelled"),
    ]
    audit = users.service.audit.entries()
    assert [(entry.user, entry.action, entry.sweep) for entry in audit] == [
        ("ada", "cancel", "walks"),
        ("max", "submit", "walks"),
    ]


def test_everything_is_there_after_a_restart_of_the_service(users):
    users.submit()
    users.step()
    from service_helpers import Users

    again = Users(users.service.store.uri)
    again.jobs.known = users.jobs.known
    again.step()
    assert again.state() == "running"
    assert not again.jobs.commands
    before = submissions.read(users.service.store.below("walks"))
    assert submissions.read(again.service.store.below("walks")) == before
    again.close()


def test_health_needs_no_token_and_says_when_the_cluster_is_away(users):
    client = users.client()
    assert client.get("health").json()["status"] == "ok"
    users.service.supervisor.problem = "no answer from /secret/path"
    answer = client.get("health").json()
    assert answer["status"] == "degraded"
    assert "secret" not in answer["problem"]


def test_health_says_when_supervision_fails_for_another_reason(users, monkeypatch):
    supervisor = users.service.supervisor

    def fail():
        raise RuntimeError("a mistake")

    monkeypatch.setattr(supervisor, "step", fail)
    supervisor.start()
    until = time.monotonic() + 30
    while not supervisor.problem and time.monotonic() < until:
        time.sleep(0.01)
    supervisor.close()
    assert users.client().get("health").json()["status"] == "degraded"


def test_a_cluster_that_wants_a_token_is_named_as_the_cause(monkeypatch):
    def refuse(address):
        raise AuthenticationError("no authentication token")

    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", refuse)
    with pytest.raises(ClusterError, match="no authentication token"):
        RayJobs("http://127.0.0.1:1").jobs("")


def test_metrics_count_sweeps_and_runs(trained):
    text = trained.client("vera", prefix="").get("metrics").text
    assert 'raysweep_sweeps{state="done"} 1.0' in text
    assert 'raysweep_runs{status="done"} 4.0' in text
    assert "raysweep_requests_total" in text

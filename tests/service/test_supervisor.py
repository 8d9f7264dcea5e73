"""The supervisor and the actions of users in trouble: damage, a cluster that fails, races."""

import threading
from pathlib import Path

import pytest
from service_helpers import Users, file_of

from raysweep.errors import ClusterError
from raysweep.service import submissions as changes
from raysweep.store import sweep_paths


def damage(users, name):
    Path(users.service.store.root, name, sweep_paths.SUBMISSION).write_text("{")


def test_a_damaged_submission_does_not_keep_others_from_starting(users):
    users.submit(name="aaa")
    damage(users, "aaa")
    users.submit(name="bbb")
    users.step()
    assert [job for job in users.jobs.commands if job.endswith("-bbb")]


def test_a_submission_that_is_damaged_while_its_driver_runs_holds_up_no_other(users):
    users.submit(name="aaa")
    users.step()
    job = users.last_job("aaa")
    damage(users, "aaa")
    users.jobs.end(job)
    users.submit(name="bbb")
    users.step()
    assert [job for job in users.jobs.commands if job.endswith("-bbb")]


def test_a_stop_that_failed_is_repeated(users, monkeypatch):
    users.submit()
    users.step()
    users.client("max").post("sweeps/walks/cancel")

    def fail(job_id):
        raise ClusterError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(users.jobs, "stop", fail)
        with pytest.raises(ClusterError):
            users.step()
    users.step()
    assert users.jobs.stopped == [users.last_job()]


@pytest.mark.parametrize("content", ["thesis.tex", "chapters/one.tex"])
def test_a_folder_that_is_no_sweep_is_not_taken(users, content):
    file = Path(users.service.store.root, "thesis", content)
    file.parent.mkdir(parents=True)
    file.write_text("x")
    answer = users.client("max").post("sweeps", content=file_of(name="thesis"))
    assert answer.status_code == 409
    assert "give the sweep another name" in answer.json()["detail"]
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_the_name_of_a_deleted_sweep_is_free(users):
    for _ in range(2):
        users.submit()
        users.client("max").post("sweeps/walks/cancel")
        assert users.client("max").delete("sweeps/walks").status_code == 204


def test_a_sweep_is_not_deleted_while_its_driver_is_being_started(users, monkeypatch):
    users.submit()
    users.service.catalogue.poll()
    write, answers = changes.submission.write, []

    def slow(files, submission):
        deletion.start()
        deletion.join(1.0)
        write(files, submission)

    deletion = threading.Thread(
        target=lambda: answers.append(users.client("max").delete("sweeps/walks"))
    )
    monkeypatch.setattr(changes.submission, "write", slow)
    users.service.supervisor.step()
    deletion.join()
    assert [answer.status_code for answer in answers] == [409]
    assert users.state() == "running"


def test_a_service_whose_cluster_is_gone_ends_without_waiting_for_its_drivers(tmp_path):
    users = Users(tmp_path / "store")
    users.submit()
    users.step()
    users.jobs.down = True
    ended = threading.Event()
    threading.Thread(
        target=lambda: (users.service.supervisor.drain(600.0), ended.set()), daemon=True
    ).start()
    assert ended.wait(30)
    users.close()

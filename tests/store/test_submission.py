"""Submissions in the store: what is written is read, and damage is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.errors import DamagedFile
from raysweep.store import submission, sweep_paths
from raysweep.store.files import Files
from raysweep.store.submission import MOST_EVENTS, Event, Outcome, Submission
from raysweep.sweep.outcomes import ENDS

TIMES = st.floats(0, 1e10)
EVENTS = st.builds(Event, at=TIMES, user=st.text(), action=st.text(), text=st.text())
SUBMISSIONS = st.builds(
    Submission,
    text=st.text(),
    owner=st.text(),
    submitted_at=TIMES,
    planned=st.none() | st.integers(0, 10**6),
    priority=st.integers(-100, 100),
    wanted=st.sampled_from(["running", "stopped"]),
    jobs=st.integers(0, 100),
    has_job=st.booleans(),
    failures=st.integers(0, 100),
    not_before=TIMES,
    outcome=st.none() | st.builds(Outcome, st.sampled_from(["done", "failed"]), st.text(), TIMES),
    retry_failed=st.booleans(),
    ended=st.dictionaries(st.sampled_from(ENDS), st.integers(0, 10**6)),
    events=st.lists(EVENTS, max_size=3).map(tuple),
)


@given(SUBMISSIONS)
def test_what_is_written_is_read(tmp_path_factory, value):
    files = Files(tmp_path_factory.getbasetemp() / "submissions")
    submission.write(files, value)
    assert submission.read(files) == value


def test_a_sweep_that_was_not_submitted_has_none(tmp_path):
    assert submission.read(Files(tmp_path)) is None


@pytest.mark.parametrize("damage", ["{}", "", "[]", "null", "owner", "extra"])
def test_damage_is_named(tmp_path, damage):
    files = Files(tmp_path)
    submission.write(files, Submission("text", "ada", 1.0))
    data = json.loads(files.read(sweep_paths.SUBMISSION))
    if damage == "owner":
        data["owner"] = "eve"
    elif damage == "extra":
        data["more"] = 1
    text = json.dumps(data) if damage in ("owner", "extra") else damage
    files.write(sweep_paths.SUBMISSION, text.encode())
    with pytest.raises(DamagedFile, match=r"submission\.json.*expected a submission"):
        submission.read(files)


def test_a_long_history_keeps_its_last_entries():
    value = Submission("", "", 0.0)
    for number in range(MOST_EVENTS + 5):
        value = value.with_event(Event(number, "", "started"))
    assert [event.at for event in value.events] == list(range(5, MOST_EVENTS + 5))

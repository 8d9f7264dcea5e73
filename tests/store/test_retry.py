"""What fails for a while is tried again; what fails for good is not."""

import errno

import pytest

from raysweep.errors import LeaseLost, StoreError
from raysweep.store.retry import Patience, is_transient


def failed(error):
    """The error of a store operation that has this cause."""
    try:
        raise StoreError("cannot write it") from error
    except StoreError as wrapped:
        return wrapped


class Flaky:
    """Fails so many times, then succeeds."""

    def __init__(self, *errors):
        self.errors, self.tries = list(errors), 0

    def __call__(self):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def patient(pauses):
    """Calls an action with patience, in a time that only pauses take."""

    def call(action, guard=None, *, is_local=False, writes=True, patience_s=60.0):
        patience = Patience(
            guard, patience_s=patience_s, clock=lambda: sum(pauses), sleep=pauses.append
        )
        return patience.call(action, is_local=is_local, writes=writes)

    return call


SLOW = OSError("AWS Error SLOW_DOWN during PutObject operation: x")


def test_a_bucket_that_is_slow_is_tried_with_growing_pauses(patient, pauses):
    action = Flaky(*[failed(SLOW)] * 6)
    assert patient(action) == "done"
    assert pauses == [0.5, 1, 2, 4, 8, 8]


def test_after_a_minute_the_error_is_raised_with_the_time(patient, pauses):
    with pytest.raises(StoreError, match=r"cannot write it \(tried for 60 s\)"):
        patient(Flaky(*[failed(SLOW)] * 100))
    assert sum(pauses) == 60


def test_the_guard_is_asked_before_each_try_of_a_write(patient):
    asked = []
    patient(Flaky(failed(SLOW), failed(SLOW)), lambda: asked.append(1))
    assert len(asked) == 3


def test_reading_asks_no_guard(patient):
    patient(Flaky(failed(SLOW)), Flaky(failed(SLOW)), writes=False)


def test_nothing_is_written_once_the_guard_refuses(patient):
    action = Flaky(failed(SLOW))
    with pytest.raises(LeaseLost, match="taken"):
        patient(action, lambda: (_ for _ in ()).throw(LeaseLost("taken")))
    assert action.tries == 0


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (errno.ESTALE, True),
        (errno.EIO, True),
        (errno.ETIMEDOUT, True),
        (errno.EAGAIN, True),
        (errno.EINTR, True),
        (errno.ENOSPC, False),
        (errno.EACCES, False),
        (errno.EROFS, False),
        (errno.ENOENT, False),
    ],
)
def test_of_a_local_disk_only_passing_errors_are_tried_again(number, passes):
    error = failed(OSError(number, "words"))
    assert is_transient(error, is_local=True) is passes


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body.", 1),
        ("AWS Error INTERNAL_FAILURE during PutObject operation: x", 1),
        ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 52", 1),
        ("AWS Error UNKNOWN (HTTP status 403): Unable to parse ExceptionName: ExpiredToken", 1),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", 1),
        ("AWS Error ACCESS_DENIED during PutObject operation: x", 0),
        ("AWS Error SIGNATURE_DOES_NOT_MATCH during PutObject operation: x", 0),
        ("AWS Error INVALID_ACCESS_KEY_ID during PutObject operation: x", 0),
        ("AWS Error NO_SUCH_BUCKET during PutObject operation: x", 0),
        ("google::cloud::Status(PERMISSION_DENIED: no)", 0),
        ("google::cloud::Status(UNAVAILABLE: later)", 1),
    ],
)
def test_of_a_bucket_all_but_refusals_are_tried_again(words, passes):
    assert is_transient(failed(OSError(words)), is_local=False) is bool(passes)


def test_a_damaged_file_is_not_read_again():
    assert not is_transient(failed(ValueError("odd")), is_local=False)

"""Errors of a service and its tokens are one line each, and show no token."""

import io
import re

import pytest
from live_service import SWEEP, serving

from raysweep.client import credentials
from raysweep.service.access import tokens


@pytest.fixture
def login(user, monkeypatch):
    """Log in with a token from stdin."""
    monkeypatch.delenv("RAYSWEEP_TOKEN")
    monkeypatch.delenv("RAYSWEEP_SERVER")

    def run(token, *words):
        monkeypatch.setattr("sys.stdin", io.StringIO(token))
        return user("login", *words)

    return run


def test_login_checks_and_saves_a_token_for_this_user_alone(login, user, live):
    code, out, err = login(live.token("vera", "viewer") + "\n", "--server", live.url)
    path = credentials.path()
    assert (code, err) == (0, "")
    assert out == f"logged in to {live.url} as vera (viewer); the token is in {path}\n"
    assert path.stat().st_mode & 0o077 == 0
    assert user("ls", "--server", live.url)[0] == 0


def test_the_only_server_with_a_token_needs_no_name(login, user, live):
    login(live.token(), "--server", live.url)
    assert user("submit", "small.yaml", "--watch")[0] == 0
    live.jobs.held = True


def test_of_several_servers_one_must_be_named(login, user, live):
    login(live.token(), "--server", live.url)
    credentials.save("http://127.0.0.1:1", "another")
    code, _, err = user("submit", "small.yaml")
    assert code == 2
    assert err == (
        "raysweep: --server: expected the address of a server: tokens are saved for "
        f"{', '.join(sorted([live.url, 'http://127.0.0.1:1']))}; give it, or set RAYSWEEP_SERVER\n"
    )


def test_without_a_server_the_error_says_what_to_give(login, user):
    for words in (("submit", "small.yaml"), ("cancel", "small"), ("login",)):
        code, _, err = user(*words)
        assert code == 2
        assert err.startswith("raysweep: --server: expected the address of a server: no token is")


@pytest.mark.parametrize("token", ["", "\n", "two words\n", "zwölf\n"])
def test_login_refuses_what_cannot_be_a_token_unseen(token, login, live):
    code, out, err = login(token, "--server", live.url)
    assert (code, out) == (2, "")
    assert err.startswith("raysweep: --token: expected a token in one line")
    assert not token.strip() or token.strip() not in err
    assert not credentials.path().exists()


def test_login_refuses_an_unknown_token_unseen(login, live):
    code, out, err = login("raysweep_1234_secret\n", "--server", live.url)
    assert (code, out) == (1, "")
    assert "secret" not in err
    assert "does not know the token, or it has expired" in err
    assert not credentials.path().exists()


def test_login_warns_of_a_variable_that_hides_the_token(login, live, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_TOKEN", live.token())
    assert "$RAYSWEEP_TOKEN is set" in login(live.token(), "--server", live.url)[2]


def refusals(live):
    """Words of a command, and its exit code and error, by the user's token."""
    expired = tokens.Tokens(live.service.store)
    text = expired.create("old", "admin", days=1e-9)
    unknown = (
        rf"{live.url} does not know the token, or it has expired; ask an admin for a new one, and "
        rf"log in with 'raysweep login --server {live.url}'"
    )
    viewer = live.token("vera", "viewer")
    other = live.token("bob", "member")
    return [
        ("raysweep_0_x", ["ls"], 1, unknown),
        (text, ["table", "small"], 1, unknown),
        (viewer, ["submit", "small.yaml"], 1, r"vera is a viewer; this needs a member or an admin"),
        (viewer, ["cancel", "small"], 1, r"vera is a viewer; .*"),
        (viewer, ["rm", "small", "--yes"], 1, r"vera is a viewer; .*"),
        (other, ["cancel", "small"], 1, r"bob is a member, and small is ada's: only its owner .*"),
        (other, ["rm", "small", "--yes"], 1, r"bob is a member, and small is ada's: .*"),
        (other, ["submit", "small.yaml"], 1, r"bob is a member, and small is ada's: .*"),
        (other, ["submit", "new.yaml", "--priority", "5"], 1, r"a priority above 0 needs an admin"),
        (other, ["submit", "new.yaml", "--priority", "101"], 2, r"--priority: expected -100 to .*"),
        (
            other,
            ["resume", "smal"],
            2,
            r"expected a sweep in .*, got 'smal'; did you mean 'small'.*",
        ),
    ]


def test_refusals_are_one_line_that_says_what_to_do(ended, live, monkeypatch, tmp_path):
    (tmp_path / "new.yaml").write_text(SWEEP.replace("small", "new"))
    for token, words, code, message in refusals(live):
        monkeypatch.setenv("RAYSWEEP_TOKEN", token)
        answer = ended(*words)
        assert answer[:2] == (code, ""), words
        assert re.fullmatch(rf"raysweep: {message}\n", answer[2]), answer[2]
        assert token not in answer[2]


def test_no_server_is_one_line(user, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_SERVER", "http://127.0.0.1:1")
    monkeypatch.setattr("raysweep.client.connection.PAUSES_S", ())
    for words in (["ls"], ["submit", "small.yaml"], ["table", "x"], ["plot", "x"], ["cancel", "x"]):
        code, out, err = user(*words)
        assert (code, out) == (1, "")
        assert err == (
            "raysweep: cannot reach http://127.0.0.1:1: connection refused; is 'raysweep serve' "
            "running there?\n"
        )


def test_a_file_larger_than_the_limit_is_refused(tmp_path, user, monkeypatch):
    with serving(tmp_path / "other", body_bytes=2048) as live:
        monkeypatch.setenv("RAYSWEEP_TOKEN", live.token())
        (tmp_path / "small.yaml").write_text(SWEEP + "#" * 3000)
        code, _, err = user("submit", "small.yaml", "--server", live.url)
    assert code == 1
    assert "expected a body of at most 2048 bytes; send a smaller one" in err


def test_a_file_with_too_many_runs_is_refused(tmp_path, user, monkeypatch):
    with serving(tmp_path / "other", max_runs=3) as live:
        monkeypatch.setenv("RAYSWEEP_TOKEN", live.token())
        code, _, err = user("submit", "small.yaml", "--server", live.url)
    assert code == 2
    assert "expected at most 3 runs, got 4" in err
    assert "raise max_runs, which an admin of the service sets" in err

"""Tokens of this user for servers: where they are, and for which server."""

import pytest

from raysweep.client import credentials
from raysweep.errors import SpecError

ONE, OTHER = "http://127.0.0.1:8080", "https://sweeps.example.org"


def test_a_saved_token_is_that_of_its_server_alone():
    path = credentials.save(f"{ONE}/", "first")
    credentials.save(OTHER.upper().replace("HTTPS", "https"), "second")
    assert credentials.token_for(ONE) == "first"
    assert credentials.token_for(f"{OTHER}/") == "second"
    assert credentials.token_for("http://127.0.0.1:8081") is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_token_of_the_environment_comes_first(monkeypatch):
    credentials.save(ONE, "saved")
    monkeypatch.setenv("RAYSWEEP_TOKEN", "given")
    assert credentials.token_for(ONE) == "given"


def test_the_default_server_is_that_of_the_environment_or_the_only_one(monkeypatch):
    credentials.save(ONE, "first")
    assert credentials.default_server() == ONE
    monkeypatch.setenv("RAYSWEEP_SERVER", OTHER)
    assert credentials.default_server() == OTHER


def test_several_servers_or_none_are_no_default():
    with pytest.raises(SpecError, match="no token is saved; give it, or set RAYSWEEP_SERVER"):
        credentials.default_server()
    credentials.save(ONE, "first")
    credentials.save(OTHER, "second")
    with pytest.raises(SpecError, match=f"tokens are saved for {ONE}, {OTHER}; give it"):
        credentials.default_server()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://localhost", False),
        ("http://[::1]:80", False),
        ("http://10.0.0.2:8080", True),
        ("http://sweeps.example.org", True),
        ("https://sweeps.example.org", False),
    ],
)
def test_a_token_is_readable_by_others_without_tls_to_another_machine(url, expected):
    assert credentials.is_readable_by_others(url) == expected


@pytest.mark.parametrize("content", ["{", "\x00", "[1"])
def test_a_damaged_file_is_named(content):
    path = credentials.path()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(SpecError, match="remove it, and log in again"):
        credentials.token_for(ONE)

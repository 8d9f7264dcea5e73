"""Commands of the service's host: what is refused, and tokens."""

import re
import socket

import pytest

from raysweep.cli.main import main
from raysweep.service.access.tokens import FOLDER, Tokens
from raysweep.store.files import Files
from raysweep.store.lease import Lease


def run(capsys, *arguments):
    """The exit code of a command, and what it printed on stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code, *capsys.readouterr()


def test_other_machines_are_not_let_in_without_tokens(capsys, tmp_path):
    code, _, err = run(capsys, "serve", "--store", tmp_path, "--host", "0.0.0.0")
    assert code == 2
    assert "expected valid tokens before other machines can reach 0.0.0.0, got none" in err


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", None), ("no.such.host.invalid", 1)])
def test_an_address_that_cannot_be_used_is_one_line(capsys, tmp_path, host, port):
    Tokens(Files(tmp_path)).create("ada", "admin")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port or taken.getsockname()[1]
        code, _, err = run(capsys, "serve", "--store", tmp_path, "--host", host, "--port", port)
    assert code == 2
    assert err.startswith(f"raysweep: --port: cannot listen on {host}, port {port}: ")
    assert err.count("\n") == 1


def test_a_second_service_of_a_store_is_refused(capsys, tmp_path):
    with Lease(Files(tmp_path).below(FOLDER)):
        code, _, err = run(capsys, "serve", "--store", tmp_path, "--port", 0)
    assert code == 2
    assert re.search(r"--store: the store of .* is already served by process \d+ on", err)


def test_a_token_is_printed_once_and_then_only_listed(capsys, tmp_path):
    code, token, _ = run(
        capsys, "token", "create", "ada", "--role", "member", "--days", 7, "--store", tmp_path
    )
    assert code == 0
    assert Tokens(Files(tmp_path)).user(token.strip()).name == "ada"
    code, listed, _ = run(capsys, "token", "list", "--store", tmp_path)
    assert code == 0
    assert re.search(r"ada +member +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d", listed)
    assert token.strip().split("_", 2)[2] not in listed


def test_without_tokens_the_list_says_how_to_make_one(capsys, tmp_path):
    code, out, err = run(capsys, "token", "list", "--store", tmp_path)
    assert (code, out) == (0, "")
    assert "'raysweep token create NAME --role admin' makes one" in err


def test_a_revoked_token_is_gone(capsys, tmp_path):
    token = Tokens(Files(tmp_path)).create("ada", "admin")
    assert run(capsys, "token", "revoke", "ada", "--store", tmp_path)[:2] == (
        0,
        "revoked 1 token\n",
    )
    assert Tokens(Files(tmp_path)).user(token) is None


@pytest.mark.parametrize("name", ["a b", "../a", ""])
def test_a_wrong_name_is_one_line(capsys, tmp_path, name):
    code, _, err = run(capsys, "token", "create", name, "--role", "admin", "--store", tmp_path)
    assert code == 2
    assert "expected a user's name" in err
    assert err.count("\n") == 1

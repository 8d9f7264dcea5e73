"""Who may do what: every endpoint, without a token, with a bad one, and with each role."""

import time

import pytest
from service_helpers import Users, file_of

from raysweep.errors import SpecError
from raysweep.service.access.limits import REFUSED_PER_MINUTE
from raysweep.service.access.roles import ROLES, User
from raysweep.service.access.sessions import HEADER, open_session
from raysweep.service.access.tokens import FOLDER, TOKENS, Tokens
from raysweep.service.app import PREFIX
from raysweep.store.files import Files
from raysweep.store.submission import Submission

OPEN = {("get", f"{PREFIX}/health"), ("get", f"{PREFIX}/openapi.json")}
FOR_MEMBERS = {
    ("post", "/sweeps"),
    ("post", "/sweeps/{name}/cancel"),
    ("post", "/sweeps/{name}/resume"),
    ("post", "/sweeps/{name}/extend"),
    ("delete", "/sweeps/{name}"),
    ("delete", "/sweeps/{name}/runs"),
}
READ_BY_MEMBERS = {("get", "/sweeps/{name}/deletion")}  # what they would delete
NEEDED = {"/compare": "sweep=walks", "/diff": "other=walks", "/runs": "where=seed<1"}


def endpoints(users):
    """Every endpoint of the OpenAPI document, with a kind of figure."""
    for path, operations in users.app.openapi()["paths"].items():
        for method in operations:
            yield method, path


def call(client, method, path):
    short = path.replace("{name}", "walks").replace("{kind}", "curves")
    content = {"json": {"seeds": 5}} if path.endswith("extend") else {}
    if path.endswith(("/sweeps", "/check")) and method == "post":
        content = {"content": file_of()}
    if path.endswith("/sql"):
        content = {"content": "select count(*) from runs"}
    needed = NEEDED.get(short[short.rfind("/") :], "")
    return client.request(method, f"{short}?{needed}", **content)


def test_every_endpoint_but_health_refuses_who_has_no_token(trained):
    client = trained.client(prefix="")
    for method, path in endpoints(trained):
        status = call(client, method, path).status_code
        assert status == (200 if (method, path) in OPEN else 401), path


@pytest.mark.parametrize("kind", ["unknown", "cut", "longer", "expired", "revoked", "empty"])
def test_every_endpoint_refuses_a_token_that_is_not_valid(users, kind, monkeypatch):
    monkeypatch.setattr(users.app.state.parts.limits, "count_refused", lambda address: None)
    token = users.service.tokens.create("eve", "admin", 1)
    if kind == "expired":
        later = time.time() + 86_401
        monkeypatch.setattr("raysweep.service.access.tokens.time.time", lambda: later)
    elif kind == "revoked":
        users.service.tokens.revoke("eve")
    given = {
        "unknown": "raysweep_12345678_abc",
        "cut": token[:-1],
        "longer": f"{token}a",
        "empty": "x",
    }.get(kind, token)
    client = users.client(token=given, prefix="")
    for method, path in endpoints(users):
        if (method, path) not in OPEN:
            answer = call(client, method, path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_viewer_changes_nothing_and_reads_everything(trained):
    client = trained.client("vera", prefix="")
    for method, path in endpoints(trained):
        answer = call(client, method, path)
        is_for_members = (method, path.removeprefix(PREFIX)) in FOR_MEMBERS | READ_BY_MEMBERS
        assert answer.status_code == (403 if is_for_members else 200), path


def test_every_endpoint_that_changes_something_needs_a_member(users):
    changing = {
        (method, path.removeprefix(PREFIX))
        for method, path in endpoints(users)
        if method != "get" and not path.endswith(("/check", "/sql"))
    }
    assert changing == FOR_MEMBERS


@pytest.mark.parametrize("action", ["cancel", "resume", "extend", "delete", "runs", "submit"])
def test_a_member_changes_no_sweep_of_another(users, action):
    users.submit(user="mia")
    users.client("mia").post("sweeps/walks/cancel")
    paths = {
        "submit": ("post", f"{PREFIX}/sweeps"),
        "delete": ("delete", f"{PREFIX}/sweeps/{{name}}"),
        "runs": ("delete", f"{PREFIX}/sweeps/{{name}}/runs"),
    }
    method, path = paths.get(action, ("post", f"{PREFIX}/sweeps/{{name}}/{action}"))
    answer = call(users.client("max", prefix=""), method, path)
    assert answer.status_code == 403
    assert "walks is mia's" in answer.json()["detail"]


def test_an_admin_changes_the_sweep_of_a_member(users):
    users.submit()
    assert users.client("ada").post("sweeps/walks/cancel").status_code == 200


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("owner", ["me", "another", None])
def test_a_role_allows_to_change_what_it_says(role, owner):
    submission = None if owner is None else Submission("", owner, 0.0)
    expected = role == "admin" or (role == "member" and owner == "me")
    assert User("me", role).may_change(submission) == expected


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_only_bearer_tokens_are_taken(users, scheme):
    client = users.client()
    header = {"Authorization": f"{scheme} {users.tokens['ada']}".strip()}
    assert client.get("me", headers=header).status_code == 401


def test_a_token_says_who_its_user_is(users):
    assert users.client("max").get("me").json() == {"name": "max", "role": "member"}


def test_no_stored_file_holds_a_token(users):
    users.submit()
    secrets = [token.split("_", 2)[2] for token in users.tokens.values()]
    root = users.service.store.root
    from pathlib import Path

    for path in Path(root).rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_text() for secret in secrets)


def test_only_the_user_of_the_service_can_read_its_files(users):
    from pathlib import Path

    assert Path(users.service.store.root, FOLDER).stat().st_mode & 0o777 == 0o700


def test_a_token_made_elsewhere_is_valid_soon(users, monkeypatch):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", -1.0)
    token = Tokens(users.service.store).create("new", "viewer")
    assert users.client(token=token).get("me").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "admin"), "expected a user's name"),
        (("../x", "admin"), "expected a user's name"),
        (("a b", "admin"), "expected a user's name"),
        (("a", "root"), "role: unknown role 'root'"),
        (("a", "admin", 0), "days: expected 1 to 3650 days, got 0"),
        (("a", "admin", 1e9), "days: expected 1 to 3650 days"),
    ],
)
def test_a_wrong_token_is_not_made(tmp_path, arguments, message):
    with pytest.raises(SpecError, match=message):
        Tokens(Files(tmp_path)).create(*arguments)


def test_revoking_takes_the_tokens_of_a_user_or_one(tmp_path):
    tokens = Tokens(Files(tmp_path))
    for _ in range(2):
        tokens.create("ada", "admin")
    tokens.create("max", "member")
    assert tokens.revoke(tokens.all()[0].token_id) == 1
    assert tokens.revoke("ada") == 1
    assert [token.name for token in tokens.all()] == ["max"]
    with pytest.raises(SpecError, match="no token of 'mix'; did you mean 'max'"):
        tokens.revoke("mix")


@pytest.mark.parametrize("content", [b"{}", b"{", b"\xff", b"[1]"])
def test_a_damaged_token_is_refused_and_no_other_one(users, monkeypatch, content):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", -1.0)
    token_id = users.tokens["ada"].split("_")[1]
    users.service.store.below(FOLDER).write(f"{TOKENS}/{token_id}.json", content)
    assert users.client("ada").get("me").status_code == 401
    assert users.client("max").get("me").status_code == 200


def test_tokens_made_and_revoked_by_two_processes_at_once_are_all_kept(users):
    other = Tokens(users.service.store)
    before = other.all()
    users.service.tokens.revoke("max")
    other.create("new", "viewer")
    names = {token.name for token in users.service.tokens.all()}
    assert names == {token.name for token in before} - {"max"} | {"new"}


def test_too_many_wrong_tokens_are_refused_for_a_minute(users):
    client = users.client(token="raysweep_1_2")
    statuses = [client.get("me").status_code for _ in range(REFUSED_PER_MINUTE + 1)]
    assert statuses == [401] * REFUSED_PER_MINUTE + [429]


def test_wrong_tokens_of_one_user_do_not_lock_out_others_of_the_same_address(users):
    client = users.client(token="raysweep_1_2")
    for _ in range(REFUSED_PER_MINUTE + 1):
        client.get("me")
    assert users.client("max").get("me").status_code == 200


def test_a_user_who_asks_too_often_is_refused_and_others_are_not(tmp_path):
    users = Users(tmp_path / "store", requests_per_minute=3)
    client = users.client("max")
    answers = [client.get("me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "60"
    assert users.client("mia").get("me").status_code == 200
    users.close()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("path", ["sweeps/check", "sweeps/walks/extend"])
def test_a_body_that_is_too_large_is_refused(users, path, is_chunked):
    size = users.service.config.body_bytes + 1
    content = iter([b"a" * size]) if is_chunked else b"a" * size
    answer = users.client("max").post(path, content=content)
    assert answer.status_code == 413
    assert f"at most {size - 1} bytes" in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", ".service", "a%00b", "A", "a" * 65]
)
@pytest.mark.parametrize("path", ["", "/runs", "/logs", "/report"])
def test_no_name_leads_out_of_the_store(trained, name, path):
    answer = trained.client("ada").get(f"sweeps/{name}{path}")
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80"])
def test_another_host_name_is_refused_on_loopback(users, host):
    assert users.client("ada").get("me", headers={"Host": host}).status_code == 400


def test_answers_say_how_browsers_must_treat_them(trained):
    headers = trained.client("vera").get("me").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["table?format=html", "report", "figures/curves?format=html"])
def test_what_is_html_runs_in_a_sandbox(trained, path):
    policy = trained.client("vera").get(f"sweeps/walks/{path}").headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy


def session_client(users, name="max"):
    """A client with the session of a browser instead of a token, and its text for forms."""
    from base64 import b64encode
    from json import dumps

    import itsdangerous

    session = {}
    open_session(session, users.service.tokens.user(users.tokens[name]))
    signer = itsdangerous.TimestampSigner(users.service.secret)
    client = users.client()
    client.cookies.set("raysweep", signer.sign(b64encode(dumps(session).encode())).decode())
    return client, session["csrf"]


def test_a_session_reads_without_more(users):
    client, _ = session_client(users)
    assert client.get("me").json()["name"] == "max"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_session_changes_nothing_without_the_text_of_its_pages(users, token):
    client, _ = session_client(users)
    answer = client.post("sweeps", content=file_of(), headers={HEADER: token})
    assert answer.status_code == 403
    assert not users.service.store.folders() or users.service.store.folders() == [FOLDER]


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403),
                                              ("same-origin", 201)])  # fmt: skip
def test_a_session_changes_nothing_for_another_site(users, site, status):
    client, csrf = session_client(users)
    headers = {HEADER: csrf, "Sec-Fetch-Site": site}
    assert client.post("sweeps", content=file_of(), headers=headers).status_code == status


def test_a_session_ends_with_its_token(users, monkeypatch):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", -1.0)
    client, _ = session_client(users)
    users.service.tokens.revoke("max")
    assert client.get("me").status_code == 401


def test_a_session_that_somebody_else_signed_is_nobody(users):
    from base64 import b64encode

    import itsdangerous

    client = users.client()
    forged = b64encode(b'{"token_id": "' + users.tokens["ada"].split("_")[1].encode() + b'"}')
    client.cookies.set("raysweep", itsdangerous.TimestampSigner("key").sign(forged).decode())
    assert client.get("me").status_code == 401


def test_a_link_that_logs_in_works_once(users):
    codes = users.app.state.parts.codes
    code = codes.create(User("ada", "admin"))
    assert codes.take(code) == User("ada", "admin")
    assert codes.take(code) is None
    assert codes.take("") is None

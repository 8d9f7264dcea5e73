"""What users and machines send that is wrong or meant to harm, and what a service makes of it."""

import json
import time
from urllib.parse import quote

import httpx
import pytest
from service_helpers import Users, file_of

from raysweep.errors import StoreError
from raysweep.results.sql_limits import Limits
from raysweep.service import readings
from raysweep.service.access.tokens import FOLDER, TOKENS
from raysweep.service.api import events
from raysweep.service.app import PREFIX
from raysweep.service.config import Config
from raysweep.service.service import SECRET, assemble
from raysweep.store.files import Files
from raysweep.sweepfile import document, rows, values

ENDLESS = "(select sum(a.range * b.range) from range(1000000) a, range(1000000) b) > 0"
HUGE = "seed in (select len(list(range)) from range(1000000000))"


@pytest.fixture
def hurried(monkeypatch):
    """Limits of conditions that are soon reached."""
    monkeypatch.setattr(readings, "CONDITIONS", Limits(seconds=0.2, memory="50MB"))


@pytest.mark.parametrize(
    "path",
    ["/table", "/statistics", "/top", "/deletion", "/runs", "/compare"],
)
@pytest.mark.parametrize(("where", "limit"), [(ENDLESS, "0.2 s"), (HUGE, "50MB of memory")])
def test_a_condition_that_takes_too_much_is_ended(trained, hurried, path, where, limit):
    method = "DELETE" if path == "/runs" else "GET"
    address = "compare?sweep=walks&" if path == "/compare" else f"sweeps/walks{path}?"
    answer = trained.client("ada").request(method, f"{address}where={quote(where)}")
    assert answer.status_code == 422
    message = answer.json()[0]["message"]
    assert message.startswith("where: expected a condition that")
    assert limit in message


@pytest.mark.parametrize("next", ["http://[", "//[::1", "/\\[", "http://[::1]:x/"])
def test_an_address_that_none_can_read_is_not_led_back_to(users, next):
    client = users.client(prefix="")
    answer = client.get("login", params={"next": next}, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert 'name="next" value="/"' in answer.text


@pytest.mark.parametrize("data", [b"", b"short"])
def test_sessions_are_not_signed_with_a_key_that_can_be_guessed(tmp_path, data):
    files = Files(tmp_path).below(FOLDER)
    files.write(SECRET, data)
    with pytest.raises(StoreError, match="expected a key of at least"):
        assemble(Config(store=str(tmp_path)), None)


def test_a_role_that_nobody_has_lets_nobody_in(users, monkeypatch):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", -1.0)
    files = users.service.store.below(FOLDER)
    name = f"{TOKENS}/{users.tokens['ada'].split('_')[1]}.json"
    files.write(name, json.dumps({**json.loads(files.read(name)), "role": "root"}).encode())
    assert users.client("ada").get("me").status_code == 401


def test_all_tokens_of_a_user_have_one_limit(tmp_path):
    users = Users(tmp_path / "store", requests_per_minute=3)
    other = users.service.tokens.create("max", "member")
    statuses = [users.client("max").get("me").status_code for _ in range(3)]
    assert [*statuses, users.client(token=other).get("me").status_code] == [200, 200, 200, 429]
    users.close()


def test_who_watches_is_told_no_more_after_the_token_is_revoked(users, monkeypatch):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", 0.0)
    monkeypatch.setattr(events, "LOOK_S", 0.05)
    users.submit()
    began = time.monotonic()
    with users.client("vera").stream("GET", "sweeps/walks/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        users.service.tokens.revoke("vera")
        assert "event: end" not in list(lines)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["{path}", "../images", "{path}/../images"])
def test_no_name_of_images_is_a_path_of_the_host(users, tmp_path, name):
    path = tmp_path / "images"
    path.with_suffix(".npz").write_bytes(b"secret")
    dataset = f"npz:{name.format(path=path)}"
    task = f"{{task: bernoulli_vae, dataset: '{dataset}'}}"
    file = file_of().replace("{task: toy, steps: 3}", task)
    answer = users.client("max").post("sweeps/check", content=file)
    assert answer.status_code == 422
    assert "16 digits of a file's SHA-256" in answer.json()[0]["message"]


LISTS = {
    "pairs": ("  walk: {task: toy, steps: 3}", "  t{}: {{task: toy, steps: 3}}\n", "pairs of"),
    "choices": ("lr: [0.1, 0.2]", "{}.5, ", "choices for 'lr'"),
    "keys": ("steps: 3", "k{}: 1, ", "mistakes"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_file_that_lists_too_much_is_refused_without_a_look_at_all(users, monkeypatch, kind):
    old, new, message = LISTS[kind]
    monkeypatch.setattr(document, "MOST_MISTAKES", 20)
    monkeypatch.setattr(rows, "MOST_ARMS", 20)
    monkeypatch.setattr(values, "MOST_CHOICES", 20)
    text = "".join(new.format(index) for index in range(30))
    if kind == "choices":
        text = f"lr: [{text}]"
    answer = users.client("vera").post("sweeps/check", content=file_of().replace(old, text))
    assert answer.status_code == 422
    assert message in answer.json()[-1]["message"]
    assert len(answer.json()) <= 21


@pytest.mark.parametrize("query", ["level=nan", "level=inf", "level=-1", "where=", "select="])
def test_a_strange_value_is_no_failure_of_the_service(trained, query):
    assert trained.client("vera").get(f"sweeps/walks/table?{query}").status_code in (200, 422)


def test_an_error_of_the_service_has_the_headers_of_other_answers(users, monkeypatch):
    def fail(name):
        raise ZeroDivisionError

    monkeypatch.setattr(users.service.catalogue, "entry", fail)
    for accept in ("text/html", "application/json"):
        answer = users.client("vera", prefix="").get("sweeps/walks", headers={"Accept": accept})
        assert answer.status_code == 500
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_session_cannot_be_opened_by_a_cookie_alone(users):
    with httpx.Client(base_url=users.url, cookies={"raysweep": "e30="}) as client:
        assert client.get(f"{PREFIX}/me").status_code == 401
        assert client.post(f"{PREFIX}/sweeps", content=file_of()).status_code == 401

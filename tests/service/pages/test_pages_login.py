"""Logging in and out, and what pages refuse."""

import re

import pytest

from raysweep.errors import StoreError
from raysweep.service.access.limits import REFUSED_PER_MINUTE


def test_a_page_without_a_session_leads_to_the_login_and_back(shown, visit):
    reader = visit(shown)
    answer = reader.get("/sweeps/hand?x=1")
    assert str(answer.url).endswith("/login?next=/sweeps/hand%3Fx%3D1")
    (back,) = re.findall(r'name="next" value="([^"]*)"', answer.text)
    answer = reader.send(
        str(answer.url).removeprefix(shown.url), "/login", token=shown.tokens["vera"], next=back
    )
    assert str(answer.url) == f"{shown.url}/sweeps/hand?x=1"
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", ""]
)
def test_a_login_leads_to_pages_of_this_service_alone(shown, visit, next):
    reader = visit(shown)
    answer = reader.send("/login", "/login", token=shown.tokens["vera"], next=next)
    assert str(answer.url) == f"{shown.url}/"


def test_a_wrong_token_is_refused_in_one_line_and_is_not_shown(site, visit):
    reader = visit(site)
    answer = reader.send("/login", "/login", token="raysweep_ab_secret")
    assert answer.status_code == 401
    assert "the token is unknown or has expired" in answer.text
    assert "secret" not in answer.text


def test_a_machine_cannot_try_tokens_for_ever(site, visit):
    reader = visit(site)
    fields = reader.fields("/login", "/login")
    answers = [
        reader.client.post("/login", data={**fields, "token": f"raysweep_ab_{number}"})
        for number in range(REFUSED_PER_MINUTE + 1)
    ]
    assert answers[-1].status_code == 429
    assert "Too many requests" in answers[-1].text
    assert answers[-1].headers["Retry-After"] == "60"


def test_a_login_needs_the_text_of_the_form(site, visit):
    reader = visit(site)
    reader.get("/login")
    fields = {"token": site.tokens["ada"], "csrf_token": "guessed"}
    assert reader.client.post("/login", data=fields).status_code == 403


def test_a_login_from_another_site_is_refused(site, visit):
    reader = visit(site)
    fields = {**reader.fields("/login", "/login"), "token": site.tokens["ada"]}
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert reader.client.post("/login", data=fields, headers=headers).status_code == 403


def test_a_browser_without_cookies_is_asked_to_allow_them(site, visit):
    reader = visit(site)
    answer = reader.client.post("/login", data={"token": site.tokens["ada"]})
    assert answer.status_code == 401
    assert "allow cookies" in answer.text


def test_a_link_opens_a_session_once(site, visit):
    user = site.service.tokens.user(site.tokens["ada"])
    code = site.app.state.parts.codes.create(user)
    first, second = visit(site), visit(site)
    assert str(first.get(f"/login?code={code}").url) == f"{site.url}/"
    answer = second.get(f"/login?code={code}")
    assert answer.status_code == 401
    assert "used before" in answer.text


def test_a_session_ends_with_the_logout(site, visit):
    reader = visit(site, "max")
    answer = reader.send("/", "/logout")
    assert str(answer.url) == f"{site.url}/login"
    assert str(reader.get("/").url) == f"{site.url}/login"


def test_a_session_ends_with_its_token(site, visit, monkeypatch):
    monkeypatch.setattr("raysweep.service.access.tokens.FRESH_S", 0.0)
    reader = visit(site, "max")
    site.service.tokens.revoke("max")
    assert str(reader.get("/").url) == f"{site.url}/login"


def test_logins_are_in_the_audit_log(site, visit):
    visit(site, "max")
    (entry,) = site.service.audit.entries()
    assert (entry.user, entry.action) == ("max", "login")


@pytest.mark.parametrize("path", ["cancel", "resume", "extend", "delete"])
def test_an_action_without_the_text_of_the_form_is_refused(site, visit, path):
    site.submit(name="walks")
    reader = visit(site, "max")
    answer = reader.client.post(f"/sweeps/walks/{path}", data={"seeds": 5})
    assert answer.status_code == 403
    assert "load it again" in answer.text
    assert site.state() == "queued"


@pytest.mark.parametrize("path", ["/submit", "/tokens"])
def test_pages_of_stronger_roles_are_refused_with_a_page(shown, visit, path):
    answer = visit(shown, "vera").get(path)
    assert answer.status_code == 403
    assert "vera is a viewer" in answer.text
    assert "<h1>Not allowed" in answer.text


def test_an_unknown_sweep_is_a_page_with_the_nearest_name(shown, visit):
    answer = visit(shown, "vera").get("/sweeps/hnd")
    assert answer.status_code == 404
    assert "did you mean" in answer.text
    assert "vera" in answer.text


def test_an_unknown_page_says_so(shown, visit):
    answer = visit(shown, "vera").get("/nowhere")
    assert answer.status_code == 404
    assert "this service has no such page" in answer.text
    assert "vera" in answer.text


def test_a_store_that_does_not_answer_is_a_page(shown, visit, monkeypatch):
    def entry(name):
        raise StoreError("the bucket <b> does not answer")

    monkeypatch.setattr(shown.service.sweeps, "entry", entry)
    answer = visit(shown, "vera").get("/sweeps/hand")
    assert answer.status_code == 503
    assert "the bucket &lt;b&gt; does not answer" in answer.text


def test_a_mistake_of_ours_is_a_page_that_names_the_log(shown, visit, monkeypatch):
    monkeypatch.setattr(shown.service.catalogue, "entries", None)
    answer = visit(shown, "vera").get("/sweeps/hand")
    assert answer.status_code == 500
    assert "the service failed at this; its log says more" in answer.text
    assert "Traceback" not in answer.text


def test_the_http_interface_answers_browsers_as_others(shown, visit):
    answer = visit(shown, "vera").get("/api/v1/sweeps/hnd")
    assert answer.json()["detail"].startswith("expected a sweep in")


def test_scripts_get_errors_as_data(shown, visit):
    answer = visit(shown, "vera").get("/sweeps/hnd", **{"X-Fragment": "1"})
    assert answer.status_code == 404
    assert "hnd" in answer.json()["detail"]


def test_a_form_that_is_too_large_is_refused_with_a_page(site, visit):
    reader = visit(site, "max")
    answer = reader.send("/submit", "/submit", text="x" * 1_100_000)
    assert answer.status_code == 413
    assert "<h1>Too large" in answer.text


def test_pages_are_not_in_the_document_of_the_http_interface(shown):
    document = shown.client("vera").get("openapi.json").json()
    assert all(path.startswith("/api/v1/") or path == "/metrics" for path in document["paths"])

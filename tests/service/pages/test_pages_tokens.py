"""The page of tokens, and the static files of all pages."""

import gzip
import re

import pytest
from pages_visitor import parsed
from report_page import rows

from raysweep.service.pages.static import FILES, content


def test_admins_see_all_tokens_without_their_secrets(site, visit):
    answer = visit(site, "ada").get("/tokens")
    assert [row[0] for row in rows(parsed(answer.text).first("table"))[1:]] == [
        *("vera", "max", "mia", "ada"),
    ]
    assert not any(token.split("_", 2)[2] in answer.text for token in site.tokens.values())


def test_a_token_is_shown_once(site, visit):
    reader = visit(site, "ada")
    answer = reader.send("/tokens", "/tokens", name="nora", role="member", days="30")
    token = parsed(answer.text).first("input", id="made").attributes["value"]
    assert site.service.tokens.user(token).name == "nora"
    assert token not in reader.get("/tokens").text
    assert site.service.audit.entries()[0].text == "made one of the member nora"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "no name!", "role": "member"}, "expected a user&#39;s name"),
        ({"name": "nora", "role": "member", "days": "soon"}, "expected a number of days"),
        ({"name": "nora", "role": "member", "days": "0"}, "expected 1 to 3650 days"),
    ],
)
def test_a_token_that_cannot_be_made_says_why(site, visit, fields, text):
    answer = visit(site, "ada").send("/tokens", "/tokens", **fields)
    assert answer.status_code == 422
    assert text in answer.text
    assert len(site.service.tokens.all()) == 4


def test_a_token_is_revoked(site, visit):
    reader = visit(site, "ada")
    token = site.service.tokens.user(site.tokens["max"]).token_id
    answer = reader.send("/tokens", f"/tokens/{token}/revoke")
    assert str(answer.url) == f"{site.url}/tokens"
    assert [one.name for one in site.service.tokens.all()] == ["vera", "mia", "ada"]


def test_others_make_and_revoke_no_tokens(site, visit):
    reader = visit(site, "max")
    fields = reader.fields("/", "/logout")
    for path in ("/tokens", "/tokens/ab/revoke"):
        answer = reader.client.post(path, data={**fields, "name": "nora", "role": "admin"})
        assert answer.status_code == 403
    assert len(site.service.tokens.all()) == 4


@pytest.mark.parametrize("name", FILES)
def test_static_files_need_no_token_and_may_be_kept_for_ever(site, visit, name):
    reader = visit(site)
    answer = reader.get(f"/static/{name}?v=1")
    assert answer.content == content(name)[0]
    assert "immutable" in answer.headers["Cache-Control"]
    assert gzip.decompress(content(name)[1]) == content(name)[0]


def test_an_unknown_static_file_is_not_there(site, visit):
    assert visit(site).get("/static/tokens.json").status_code == 404


def test_pages_load_nothing_from_elsewhere_and_hold_no_program(shown, visit):
    reader = visit(shown, "ada")
    for path in ("/", "/sweeps/hand", "/sweeps/hand/parts/figures", "/submit", "/tokens"):
        answer = reader.get(path)
        page = parsed(answer.text)
        for element in page.all():
            for name in ("src", "href", "srcset", "action", "data"):
                assert re.match(r"[/#]|$", element.attributes.get(name) or ""), element.tag
            assert not any(name.startswith("on") for name in element.attributes)
            assert "style" not in element.attributes
        programs = [one for one in page.all("script") if not one.attributes.get("src")]
        assert all(
            one.attributes["type"] in ("application/json", "application/gzip") for one in programs
        )
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "http" not in policy


@pytest.mark.parametrize("name", ["report.css", "pages.css", "plain.css"])
def test_styles_load_nothing(name):
    text = content(name)[0].decode()
    assert "url(" not in text
    assert "@import" not in text

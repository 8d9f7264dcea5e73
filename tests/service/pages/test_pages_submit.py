"""The page to submit a sweep file, without scripts."""

from pathlib import Path

import pytest
from pages_stores import AWKWARD
from pages_visitor import parsed
from service_helpers import file_of

ROOT = Path(__file__).parents[3]
CHECK = {"action": "check"}  # the name of the other button
BROKEN = file_of().replace("seeds: 2", "seeds: none").replace("lr:", "lrr:")


def typed(page):
    """The text of the editor; a browser drops the line end at its start."""
    return page.first("textarea").text.removeprefix("\n")


def test_a_right_file_is_submitted(site, visit):
    reader = visit(site, "max")
    answer = reader.send("/submit", "/submit", text=file_of(), priority="-1")
    assert str(answer.url) == f"{site.url}/sweeps/walks"
    submission = site.service.sweeps.submissions.read("walks")
    assert (submission.owner, submission.text, submission.priority) == ("max", file_of(), -1)
    assert site.service.audit.entries()[0].action == "submit"


def test_a_short_version_is_submitted_under_its_own_name(site, visit):
    answer = visit(site, "max").send("/submit", "/submit", text=file_of(), smoke="true")
    assert str(answer.url) == f"{site.url}/sweeps/walks-smoke"
    assert site.service.sweeps.submissions.read("walks") is None


def test_a_check_of_a_short_version_has_its_size_and_keeps_the_choice(site, visit):
    answer = visit(site, "max").send("/submit", "/submit", text=file_of(), smoke="true", **CHECK)
    page = parsed(answer.text)
    assert "No mistake: 1 run of 1 arm." in page.first("div", id="verdict").text
    assert "checked" in page.first("input", id="smoke").attributes


def test_line_ends_of_browsers_become_those_of_files(site, visit):
    visit(site, "max").send("/submit", "/submit", text=file_of().replace("\n", "\r\n"))
    assert site.service.sweeps.submissions.read("walks").text == file_of()


def test_an_uploaded_file_is_submitted(site, visit):
    reader = visit(site, "max")
    files = {"file": ("walks.yaml", file_of().encode(), "text/yaml")}
    fields = {**reader.fields("/submit", "/submit"), "text": ""}
    answer = reader.client.post("/submit", data=fields, files=files)
    assert str(answer.url) == f"{site.url}/sweeps/walks"


def test_a_file_that_is_no_text_is_refused(site, visit):
    reader = visit(site, "max")
    files = {"file": ("walks.yaml", b"\xff\xfe\x00", "text/yaml")}
    fields = reader.fields("/submit", "/submit")
    answer = reader.client.post("/submit", data=fields, files=files)
    assert answer.status_code == 422
    assert "expected a sweep file as UTF-8 text" in answer.text


def test_mistakes_are_at_their_lines_and_the_text_remains(site, visit):
    answer = visit(site, "max").send("/submit", "/submit", text=BROKEN)
    assert answer.status_code == 422
    page = parsed(answer.text)
    entries = list(page.first("div", id="verdict").all("li"))
    lines = BROKEN.splitlines()
    wrong = [1 + index for index, line in enumerate(lines) if "lrr" in line or "none" in line]
    assert [int(entry.attributes["data-line"]) for entry in entries] == wrong
    assert typed(page) == BROKEN
    assert page.first("textarea").attributes["aria-invalid"] == "true"
    assert site.service.catalogue.entries() == []


def test_a_check_shows_the_size_and_stores_nothing(site, visit):
    answer = visit(site, "max").send("/submit", "/submit", text=file_of(), **CHECK)
    page = parsed(answer.text)
    assert "No mistake: 4 runs of 1 arm." in page.first("div", id="verdict").text
    assert typed(page) == file_of()
    assert site.service.catalogue.entries() == []


def test_text_that_looks_like_markup_remains_text(site, visit):
    text = f"name: {AWKWARD}\n"
    page = parsed(visit(site, "max").send("/submit", "/submit", text=text).text)
    assert typed(page) == text
    assert not list(page.all("b"))


def test_a_conflict_is_shown_in_one_line_with_the_text(site, visit):
    site.submit()
    site.step()
    answer = visit(site, "max").send("/submit", "/submit", text=file_of())
    page = parsed(answer.text)
    assert answer.status_code == 409
    (problem,) = page.all("div", role="alert")
    assert "walks runs; cancel it first" in problem.text
    assert typed(page) == file_of()


def test_a_sweep_of_another_user_is_refused_with_the_text(site, visit):
    site.submit("max")
    answer = visit(site, "mia").send("/submit", "/submit", text=file_of())
    assert answer.status_code == 403
    assert "walks is max&#39;s" in answer.text


def test_a_priority_above_that_of_members_is_refused(site, visit):
    answer = visit(site, "max").send("/submit", "/submit", text=file_of(), priority="5")
    assert answer.status_code == 403
    assert "a priority above 0 needs an admin" in answer.text


@pytest.mark.parametrize(("user", "most"), [("max", "0"), ("ada", "100")])
def test_the_form_has_the_priorities_of_the_role(site, visit, user, most):
    field = visit(site, user).page("/submit").first("input", id="priority")
    assert (field.attributes["min"], field.attributes["max"]) == ("-100", most)


def test_a_sweep_is_edited_and_submitted_again(site, visit):
    site.submit()
    assert typed(visit(site, "max").page("/submit?from=walks")) == file_of()


def test_a_sweep_of_nobody_is_edited_by_its_file_in_the_store(shown, visit):
    page = visit(shown, "max").page("/submit?from=hand")
    assert typed(page) == shown.service.store.below("hand").read("sweep.yaml").decode()


def test_the_example_is_that_of_the_project_and_is_right(site, visit):
    page = visit(site, "max").page("/submit?example=true")
    assert typed(page) == (ROOT / "examples" / "quickstart.yaml").read_text()
    assert site.service.sweeps.check(typed(page)).name == "quickstart"

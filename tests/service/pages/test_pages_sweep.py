"""The page of one sweep, its parts, and the actions on it."""

import pytest
from figure_helpers import only_begun, spec_of, store_of
from pages_stores import AWKWARD
from report_page import data, read, rows

from raysweep.report.page import Sections
from raysweep.results.status import Driver
from raysweep.service.pages import parts
from raysweep.service.pages.shown import ShownSweep
from raysweep.service.readings import Readings
from raysweep.service.state import Entry

COMPUTED = ("results", "figures", "statistics", "configurations", "failures", "provenance")


def section(page, name):
    return page.first("section", id=name)


def test_a_page_has_a_title_that_says_what_it_shows(shown, visit):
    assert visit(shown, "vera").page("/sweeps/hand").first("title").text == "hand: done · raysweep"


def test_a_page_reads_no_results(shown, visit, monkeypatch):
    reader = visit(shown, "vera")
    monkeypatch.setattr(Readings, "open", None)
    monkeypatch.setattr(Readings, "answer", None)
    page = reader.page("/sweeps/hand")
    addresses = [
        one.attributes["data-part"] for one in page.all("div") if "data-part" in one.attributes
    ]
    names = [address.rpartition("/")[2] for address in addresses]
    assert sorted(names) == sorted([*COMPUTED, "logs", "driver", "file"])


def test_runs_of_each_arm_are_counted(shown, visit):
    page = visit(shown, "vera").page("/sweeps/begun")
    head, *below = rows(page.first("table", id="arms"))
    assert head == ["arm", "done", "diverged", "stopped", "failed"]
    assert below[0] == ["ST · A", "4", "0", "0", "0"]
    assert "16 of 18 runs" in page.first("p", id="runs").text


def test_a_sweep_that_waits_has_no_results_yet(shown, visit):
    page = visit(shown, "vera").page("/sweeps/waiting")
    assert "queued, number 1" in page.first("p", id="state").text
    assert "No session of this sweep has started yet" in page.text
    assert not [one for one in page.all("section") if one.attributes.get("id") == "results"]


def test_a_sweep_whose_driver_starts_says_so(site, visit):
    site.submit()
    site.step()
    page = visit(site, "max").page("/sweeps/walks")
    assert "running" in page.first("p", id="state").text
    assert "Its driver starts." in page.first("p", id="facts").text


def test_a_sweep_that_has_a_driver_and_trains_nothing_says_that_it_waits():
    shown = ShownSweep(Entry("walks", driver=Driver("alive", "process 7 on host")))
    assert shown.lull == "Nothing trains yet: its packs start, or wait for room on the cluster."


def test_a_sweep_that_does_not_run_waits_for_nothing(shown, visit):
    page = visit(shown, "vera").page("/sweeps/waiting")
    assert "Its driver starts" not in page.text
    assert "wait for room" not in page.text


def test_history_has_the_last_event_first(shown, visit):
    page = visit(shown, "vera").page("/sweeps/waiting")
    (entry,) = section(page, "history").all("li")
    assert entry.first("strong").text == "submitted"
    assert "by max" in entry.text


@pytest.mark.parametrize("name", COMPUTED)
def test_a_part_is_that_of_the_report(shown, visit, tmp_path, name):
    reader = visit(shown, "vera")
    part = reader.page(f"/sweeps/hand/parts/{name}")
    results = shown.app.state.parts.readings.open("hand")
    report = section(read(results.report(tmp_path / "page.html")), name)
    assert [rows(table) for table in part.all("table")] == [
        rows(table) for table in report.all("table")
    ]
    if name == "figures":
        assert data(part) == data(report)


def test_a_part_alone_is_for_scripts(shown, visit):
    answer = visit(shown, "vera").get("/sweeps/hand/parts/results", **{"X-Fragment": "1"})
    assert "<html" not in answer.text
    assert "train_loss" in answer.text


def test_an_unknown_part_says_so(shown, visit):
    answer = visit(shown, "vera").get("/sweeps/hand/parts/other")
    assert answer.status_code == 404
    assert "no part &#39;other&#39;" in answer.text


def test_provisional_numbers_are_marked(shown, visit):
    page = visit(shown, "vera").page("/sweeps/begun/parts/results")
    assert rows(page.first("table"))[1][1].endswith("?")


def test_two_metrics_show_the_front(shown, visit):
    assert "Pareto front" in visit(shown, "vera").page("/sweeps/two/parts/results").text


def test_a_sweep_without_an_ended_run_says_so(shown, visit):
    reader = visit(shown, "vera")
    for name in COMPUTED[:4]:
        assert "No run has ended yet" in reader.page(f"/sweeps/nothing/parts/{name}").text
    assert "None so far" in reader.page("/sweeps/nothing/parts/failures").text
    assert "Worker hours" in reader.page("/sweeps/nothing/parts/provenance").text


def test_labels_and_errors_are_texts(shown, visit):
    reader = visit(shown, "vera")
    for path in ("/", "/sweeps/awkward", *(f"/sweeps/awkward/parts/{name}" for name in COMPUTED)):
        page = reader.page(path)
        assert not list(page.all("b")), path
        assert AWKWARD in page.text or path.endswith("provenance"), path


def test_failures_have_their_tracebacks(shown, visit):
    page = visit(shown, "vera").page("/sweeps/awkward/parts/failures")
    (details,) = (one for one in page.all("details") if "id" in one.attributes)
    assert "Traceback of 2 runs: ValueError" in details.first("summary").text
    assert f"\n{AWKWARD}" in details.first("code").text


def test_logs_of_a_run_are_found_by_the_beginning_of_its_id(shown, visit):
    reader = visit(shown, "vera")
    page = reader.page("/sweeps/awkward/parts/failures")
    (link,) = (one.attributes["href"] for one in page.all("a") if "run=" in one.attributes["href"])
    text = reader.page(link[:-8]).first("pre").text
    assert "attempt 3" in text
    assert AWKWARD in text


def test_an_unknown_run_says_so_in_its_place(shown, visit):
    page = visit(shown, "vera").page("/sweeps/hand/parts/logs?run=%3Cb%3E")
    assert "got '<b>'" in page.text
    assert not list(page.all("b"))


def test_the_output_of_a_driver_ends_with_its_last_lines(site, visit, monkeypatch):
    monkeypatch.setattr(parts, "DRIVER_LINES", 2)
    site.submit()
    site.step()
    site.jobs.logs = lambda job_id: "one\ntwo\n<b>three</b>\n"
    page = visit(site, "vera").page("/sweeps/walks/parts/driver")
    assert page.first("pre").text == "two\n<b>three</b>"


def test_a_sweep_without_a_driver_has_no_output(shown, visit):
    page = visit(shown, "vera").page("/sweeps/hand/parts/driver")
    assert "no output of a driver" in page.text


def test_the_sweep_file_is_there_word_for_word(shown, visit):
    page = visit(shown, "vera").page("/sweeps/awkward/parts/file")
    files = shown.service.store.below("awkward")
    assert page.first("code").text == files.read("sweep.yaml").decode()


def test_a_part_is_computed_once_for_all_who_look(shown, visit, monkeypatch):
    calls = []
    monkeypatch.setattr(parts, "Sections", lambda results: calls.append(1) or Sections(results))
    shown.app.state.parts.readings.__init__(shown.service.store)
    for name in ("vera", "max"):
        visit(shown, name).get("/sweeps/hand/parts/statistics")
    assert len(calls) == 1


def test_results_of_a_sweep_that_runs_may_be_a_little_old(tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.service.readings.SHARE", 10_000)
    results = store_of(tmp_path, spec_of(), only_begun)
    readings = Readings(results.store.store)
    computed = iter("abc")
    assert readings.recent("hand", "key", lambda results: next(computed)) == ("a", True)
    assert readings.recent("hand", "key", lambda results: next(computed)) == ("a", True)
    store_of(tmp_path, spec_of())
    assert readings.recent("hand", "key", lambda results: next(computed)) == ("a", False)
    assert readings.answer("hand", "key", lambda results: next(computed)) == "b"


def buttons(page):
    """The texts of the actions of a sweep's page."""
    actions = page.first("div", id="actions")
    return [one.text for tag in ("button", "a") for one in actions.all(tag)]


@pytest.mark.parametrize(
    ("user", "offered"),
    [
        ("vera", []),
        ("mia", ["Edit and submit again"]),
        ("max", ["Leave the queue", "Edit and submit again", "Delete …"]),
        ("ada", ["Leave the queue", "Edit and submit again", "Delete …"]),
    ],
)
def test_actions_are_offered_to_those_who_may_take_them(shown, visit, user, offered):
    assert buttons(visit(shown, user).page("/sweeps/waiting")) == offered


def test_a_sweep_of_nobody_is_changed_by_admins(shown, visit):
    assert "Resume" in buttons(visit(shown, "ada").page("/sweeps/begun"))
    assert "Resume" not in buttons(visit(shown, "max").page("/sweeps/begun"))


def test_quarantined_runs_may_be_retried(shown, visit):
    page = visit(shown, "ada").page("/sweeps/awkward")
    assert "Resume, and retry 2 failed runs" in buttons(page)


def test_a_sweep_that_waits_is_cancelled_and_resumed(site, visit):
    site.submit()
    reader = visit(site, "max")
    answer = reader.send("/sweeps/walks", "/sweeps/walks/cancel")
    assert str(answer.url) == f"{site.url}/sweeps/walks"
    assert site.state() == "stopped"
    reader.send("/sweeps/walks", "/sweeps/walks/resume", retry_failed="true")
    assert site.state() == "queued"
    assert site.service.sweeps.submissions.read("walks").retry_failed
    actions = [entry.action for entry in site.service.audit.entries()]
    assert actions == ["resume", "cancel", "login", "submit"]


def test_an_ended_sweep_is_extended_by_seeds(site, visit):
    site.submit()
    site.step()
    site.drive()
    site.step()
    reader = visit(site, "max")
    page = reader.page("/sweeps/walks")
    assert page.first("input", id="seeds").attributes["min"] == "3"
    assert buttons(page) == ["Extend", "Edit and submit again", "Delete …"]
    reader.send("/sweeps/walks", "/sweeps/walks/extend", seeds="3")
    assert site.service.sweeps.submissions.read("walks").planned == 6


def test_too_few_seeds_are_a_page_that_says_so(site, visit):
    site.submit()
    site.step()
    site.drive()
    site.step()
    reader = visit(site, "max")
    answer = reader.send("/sweeps/walks", "/sweeps/walks/extend", seeds="2")
    assert answer.status_code == 422
    assert "expected more than the present 2" in answer.text
    assert "Back to walks" in answer.text


def test_a_sweep_is_deleted_after_a_question(site, visit):
    site.submit()
    reader = visit(site, "max")
    page = reader.page("/sweeps/walks/delete")
    assert "cannot be undone" in page.text
    answer = reader.client.post("/sweeps/walks/delete", data=form(page))
    assert str(answer.url) == f"{site.url}/"
    assert reader.get("/sweeps/walks").status_code == 404
    assert site.service.audit.entries()[0].action == "delete"


def form(page):
    """The hidden fields of the last form of a page."""
    *_, last = page.all("form")
    return {
        one.attributes["name"]: one.attributes["value"] for one in last.all("input", type="hidden")
    }


def test_a_sweep_that_runs_is_not_deleted(site, visit):
    site.submit()
    site.step()
    page = visit(site, "max").page("/sweeps/walks/delete")
    assert "cancel it first" in page.text
    assert not list(page.all("button", _class="danger"))


def test_others_are_not_asked_whether_to_delete_a_sweep(site, visit):
    site.submit()
    assert visit(site, "mia").get("/sweeps/walks/delete").status_code == 403


def test_a_conflict_is_a_page_in_one_line(site, visit):
    site.submit()
    site.step()
    reader = visit(site, "max")
    answer = reader.send("/sweeps/walks", "/sweeps/walks/cancel")
    assert "stopping" in answer.text
    fields = reader.fields("/", "/logout")
    answer = reader.client.post("/sweeps/walks/cancel", data=fields)
    assert answer.status_code == 409
    assert "expected walks to run or to wait" in answer.text

"""The pages in a browser: scripts, styles and policies, by mouse and by keyboard.

Chromium comes from the system; Playwright's client drives it, and must not download another one.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from figure_helpers import only_begun, spec_of, store_of
from pages_stores import TWO, awkward
from playwright.sync_api import sync_playwright
from service_helpers import FakeJobs, Users, file_of

from raysweep.engine.jobs import Job

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium and no google-chrome here"),
]
DRIVER = Path(__file__).with_name("inline_driver.py")
BROKEN = file_of(name="fresh").replace("seeds: 2", "seeds: none")
AXE_RUN = """
([except]) => axe.run({exclude: [[except]]}, {resultTypes: ["violations"]}).then((results) => [
  results.passes.length,
  results.violations.map(({id, nodes}) => `${id} ${nodes[0].html}`),
])
"""
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


class InlineJobs(FakeJobs):
    """Jobs that are processes of this machine, which train without Ray."""

    def __init__(self):
        super().__init__()
        self.processes = {}

    def start(self, job_id, command):
        super().start(job_id, command)
        *_, store, sweep = command[:5]
        self.processes[job_id] = subprocess.Popen([sys.executable, str(DRIVER), store, sweep])

    def jobs(self, prefix):
        for job_id, process in self.processes.items():
            code = process.poll()
            self.known[job_id] = Job(job_id, code is None, code)
        return super().jobs(prefix)

    def stop(self, job_id):
        super().stop(job_id)
        self.processes[job_id].send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A service whose drivers train in processes of this machine."""
    store = tmp_path_factory.mktemp("browser") / "store"
    store_of(store, spec_of(name="hand", tags=["paper"], description="made by hand"))
    store_of(store, spec_of(name="begun"), only_begun)
    store_of(store, spec_of(name="two", select=TWO))
    awkward(store)
    users = Users(store, InlineJobs(), running=2)
    users.service.supervisor.start()
    yield users
    users.close()
    users.service.supervisor.close()
    for process in users.jobs.processes.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    with sync_playwright() as client:
        browser = client.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """Function that opens a tab of a user; at the end there must be no error in any."""
    contexts, wrong = [], []

    def watched(page, url):
        def on_request(request):
            if not request.url.startswith((url, "data:", "blob:")):
                wrong.append(f"request to {request.url}")

        def on_console(line):
            address = line.location["url"].partition("?")[0]
            is_checked = address.endswith(("/sweeps/check", "/submit"))
            is_wrong = is_checked and "422" in line.text  # browsers log that a file has mistakes
            if line.type == "error" and not is_wrong:
                wrong.append(line.text)

        page.on("console", on_console)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", on_request)
        page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))

    def opened(users, name, path="/", **options):
        context = chromium.new_context(base_url=users.url, viewport=WIDE, **options)
        contexts.append(context)
        context.set_default_timeout(90_000)
        page = context.new_page()
        watched(page, users.url)
        page.wrong = wrong
        page.goto("/login")
        page.get_by_label("Token").fill(users.tokens[name])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/")
        if path != "/":
            page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def until(page, expression, most_s=90.0):
    """Wait until an expression is true; `wait_for_function` would need `unsafe-eval`."""
    end = time.monotonic() + most_s
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def settled(page):
    """Scroll through a page, until all its parts are loaded and drawn."""
    waiting = "document.querySelector('[data-part] > .wait, [aria-busy]')"
    for part in page.locator("[data-part]").all():
        if not part.evaluate("part => part.closest('details:not([open])')"):
            part.scroll_into_view_if_needed()
    until(page, f"!{waiting} || {waiting}.closest('details:not([open])') !== null")
    until(
        page,
        "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg'))",
    )


def test_a_sweep_is_typed_checked_submitted_and_watched_to_its_end(live, tab):
    page = tab(live, "max", "/submit")
    editor = page.get_by_label("Sweep file")
    editor.fill(BROKEN)
    mistake = page.get_by_role("link", name="line 8")
    mistake.wait_for()
    assert page.locator(".gutter .wrong").all_text_contents() == ["8\n"]
    editor.press("Control+Home")
    mistake.click()
    chosen = "[document.activeElement.selectionStart, document.activeElement.selectionEnd]"
    start, end = page.evaluate(chosen)
    assert BROKEN[start:end] == "seeds: none"
    page.keyboard.type("seeds: 2")
    page.get_by_text("No mistake: 4 runs of 1 arm.").wait_for()
    assert page.locator(".gutter .wrong").count() == 0
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/sweeps/fresh")
    assert page.locator(".top .state").inner_text() in ("queued, number 1", "running")
    page.locator(".top .state.done").wait_for()
    assert page.locator("progress").get_attribute("value") == "4"
    assert "fresh: done" in page.title()
    table = page.locator("#results table:visible")
    table.wait_for()
    assert "?" not in table.inner_text()
    page.get_by_label("Metric").first.select_option(label="distance [m]")
    assert "fresh: distance" in page.locator("#results caption:visible").inner_text()


def test_a_sweep_that_runs_is_cancelled(live, tab):
    slow = file_of(name="slow", seeds=9).replace("steps: 3", "steps: 3000, delay_s: 0.01")
    assert live.client("max").post("sweeps", content=slow).status_code == 201
    page = tab(live, "max", "/sweeps/slow")
    page.locator(".top .state.running").wait_for()
    page.locator("#packs").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".top .state.stopped").wait_for()
    assert page.get_by_role("button", name="Resume").is_visible()
    assert "cancelled by max" in page.locator("#history").inner_text()


def test_ticked_sweeps_are_compared(live, tab):
    page = tab(live, "vera")
    page.get_by_label("Compare hand").check()
    page.get_by_label("Compare begun").check()
    page.wait_for_timeout(3500)  # the list has been loaded again meanwhile
    page.get_by_role("button", name="Compare the ticked sweeps").click()
    page.wait_for_url("**/compare?*")
    page.get_by_text("begun: ST").first.wait_for()
    page.get_by_label("Statistic").select_option(label="median")
    assert "median" in page.locator("caption:visible").first.inner_text()


def test_a_list_is_searched_while_it_is_typed(live, tab):
    page = tab(live, "vera")
    page.get_by_label("Search").click()
    page.keyboard.type("by hand")
    page.locator("#sweep-begun").wait_for(state="detached")
    assert page.locator("#sweep-hand").is_visible()
    assert page.evaluate("document.activeElement.id") == "search"
    assert page.url.endswith("/?search=by+hand")
    assert (
        page.get_by_role("status").inner_text()
        == "1 sweep of " + re.findall(r"\d+", page.locator("#count").inner_text())[1]
    )


def test_a_submitted_sweep_appears_in_an_open_list(site, tab):
    page = tab(site, "vera")
    page.get_by_text("This store has no sweeps yet.").wait_for()
    site.submit(name="walks")
    page.locator("#sweep-walks").wait_for()


def test_choices_and_focus_remain_when_results_arrive(site, tab, monkeypatch):
    monkeypatch.setattr("raysweep.service.readings.SHARE", 0.0)
    store = site.service.store.uri
    store_of(store, spec_of(name="walks"), only_begun)
    site.service.catalogue.poll()
    site.submit("ada", name="walks")
    site.step()
    page = tab(site, "vera", "/sweeps/walks")
    settled(page)
    metric, row = page.locator("#table-metric"), page.locator("#figure-curves [data-row=RF]")
    metric.select_option(label="distance [m]")
    row.click()
    page.locator("#figure-curves summary:visible").click()
    metric.focus()
    assert page.locator("#results table:visible").inner_text().count("?") == 1
    store_of(store, spec_of(name="walks"))
    site.service.catalogue.refresh("walks")
    until(page, "!document.querySelector('#results table').textContent.includes('?')")
    assert page.evaluate("document.activeElement.id") == "table-metric"
    assert metric.evaluate("one => one.selectedOptions[0].text") == "distance [m]"
    assert "walks: distance" in page.locator("#results caption:visible").inner_text()
    assert "updated" in page.locator("#news").text_content()
    row.scroll_into_view_if_needed()
    page.get_by_role("button", name="ST (? n = 2 on A)").first.wait_for(state="detached")
    assert row.get_attribute("aria-pressed") == "false"
    assert page.locator("#figure-curves details[open]:visible").count() == 1


def test_the_address_shows_others_what_was_chosen(shown, tab):
    page = tab(shown, "vera", "/sweeps/hand")
    settled(page)
    page.locator("#table-metric").select_option(label="distance [m]")
    page.locator("#figure-curves select").first.select_option(index=1)
    other = tab(shown, "ada", page.url.removeprefix(shown.url))
    settled(other)
    for chosen in ("#table-metric", "#figure-curves select"):
        text = "one => one.selectedOptions[0].text"
        assert other.locator(chosen).first.evaluate(text) == page.locator(chosen).first.evaluate(
            text
        )
    assert "hand: distance" in other.locator("#results caption:visible").inner_text()


def test_axe_finds_nothing_wrong_on_any_page(live, tab):
    page = tab(live, "ada")
    paths = {
        "/": "#list",
        "/sweeps/hand": "#history",
        "/sweeps/awkward/parts/failures": "details",
        "/submit?from=awkward": ".good",
        "/compare?sweep=hand&sweep=begun": "#part-numbers table",
        "/compare": ".empty",
        "/tokens": "table",
        "/sweeps/hand/delete": ".danger",
    }
    assert wrong_by_axe(page, paths) == []


def test_axe_finds_nothing_wrong_before_the_login_and_on_errors(live, tab, chromium):
    context = chromium.new_context(base_url=live.url)
    page = context.new_page()
    assert wrong_by_axe(page, {"/login": "#token", "/login?code=x": ".problem"}) == []
    context.close()
    page = tab(live, "vera")
    assert wrong_by_axe(page, {"/nowhere": ".problem", "/tokens": ".problem"}) == []
    page.wrong.clear()  # browsers log that a page was not found


def wrong_by_axe(page, paths):
    """The faults that axe finds on pages, wide and narrow, light and dark; and wide contents."""
    wrong = []
    for path, mark in paths.items():
        page.set_viewport_size(WIDE)
        page.goto(path)
        page.locator(mark).first.wait_for()
        settled(page)
        page.evaluate(AXE_SCRIPT)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{path} is wider than {size['width']} pixels")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                is_seen = (size, scheme) in ((WIDE, "light"), (NARROW, "dark"))
                passed, faults = page.evaluate(AXE_RUN, ["#none" if is_seen else ".plot"])
                assert passed > 10
                wrong += [f"{path} {scheme} {size['width']}: {fault}" for fault in faults]
    return wrong


def test_the_page_is_used_by_keyboard(live, tab):
    page = tab(live, "max")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "search"
    page.goto("/sweeps/hand")
    page.locator("#results table:visible").wait_for()
    page.locator("#table-metric").focus()
    page.keyboard.press("ArrowDown")
    assert "hand: distance" in page.locator("#results caption:visible").inner_text()
    page.get_by_text("Show the file").focus()
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Sweep file").wait_for()


def test_figures_are_drawn_when_they_are_near_and_can_be_saved(live, tab):
    page = tab(live, "vera", "/sweeps/hand")
    settled(page)
    assert page.locator("#figure-curves .plot svg").count() == 2
    with page.expect_download() as download:
        page.locator("#figure-curves [data-save]").first.click()
    assert download.value.suggested_filename == "curves-0.svg"
    page.locator("#figure-curves .plot svg path[aria-label]").first.hover(force=True)
    assert page.locator("#vg-tooltip-element").count() <= 1


def test_the_report_can_save_its_figures_though_it_may_do_nothing_else(live, tab):
    page = tab(live, "vera", "/api/v1/sweeps/hand/report")
    page.locator("#figure-curves .plot svg").first.wait_for()
    with page.expect_download() as download:
        page.locator("#figure-curves [data-save]").first.click()
    assert download.value.suggested_filename == "curves-0.svg"


def test_logs_are_loaded_when_they_are_opened_and_found_in_their_place(live, tab):
    page = tab(live, "vera", "/sweeps/awkward")
    page.get_by_text("Output and tracebacks of runs").first.click()
    field = page.get_by_label("Run or pack")
    field.fill("nothing")
    field.press("Enter")
    page.get_by_text("expected the id of a run or pack").wait_for()
    assert page.url.endswith("/sweeps/awkward")
    assert field.input_value() == "nothing"


def test_times_are_those_of_the_readers_place(live, tab):
    page = tab(live, "vera", timezone_id="Asia/Tokyo")
    live.submit(name="later")
    page.locator("#sweep-later time").wait_for()
    assert "GMT+9" in page.locator("#sweep-later time").inner_text()


def test_a_service_that_does_not_answer_is_noted_until_it_does(live, tab):
    page = tab(live, "vera")
    page.context.set_offline(True)
    page.get_by_text("The service does not answer; what is shown is old.").wait_for()
    page.context.set_offline(False)
    until(page, "document.getElementById('news').textContent === ''")
    page.wrong.clear()  # browsers log that there was no answer


def test_pages_are_of_use_without_scripts(live, tab):
    page = tab(live, "max", "/sweeps/hand", java_script_enabled=False)
    page.locator("#results a").click()
    page.wait_for_url("**/parts/results")
    assert page.locator("table:visible").count() == 8  # of two metrics, with four statistics
    page.goto("/submit")
    page.get_by_label("Sweep file").fill(BROKEN)
    page.get_by_role("button", name="Check").click()
    page.get_by_role("link", name="line 8").wait_for()
    page.goto("/?state=stopped")
    assert page.locator("#sweep-begun").is_visible()
    assert page.locator("#sweep-hand").count() == 0

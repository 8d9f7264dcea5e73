"""The page of all sweeps."""

import pytest
from report_page import rows
from service_helpers import FakeJobs, Users

from raysweep.engine.jobs import Load, load_of
from raysweep.errors import ClusterError
from raysweep.service.pages import listing
from raysweep.service.pages.cluster import ClusterLoad


def names(page):
    """The sweeps of the list, in order."""
    return [
        row.attributes["id"].removeprefix("sweep-")
        for row in page.first("table", id="list").first("tbody").all("tr")
    ]


def test_the_last_submitted_sweep_is_first_and_then_those_of_nobody(shown, visit):
    page = visit(shown, "vera").page("/")
    assert names(page) == ["waiting", "awkward", "begun", "hand", "nothing", "two"]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("search=by+hand", ["hand"]),
        ("search=HAND", ["hand"]),
        ("owner=max", ["waiting"]),
        ("state=done", ["hand", "two"]),
        ("state=queued", ["waiting"]),
        ("tag=paper", ["hand"]),
        ("tag=paper&state=done&owner=&search=", ["hand"]),
        ("state=unknown&search=tw", ["two"]),
    ],
)
def test_sweeps_are_searched_and_filtered(shown, visit, query, chosen):
    assert names(visit(shown, "vera").page(f"/?{query}")) == chosen


def test_a_filter_that_no_sweep_meets_says_so(shown, visit):
    page = visit(shown, "vera").page("/?search=nothing+like+this")
    assert "No sweep is like that" in page.text


def test_filters_remain_chosen(shown, visit):
    page = visit(shown, "vera").page("/?state=done&search=tw")
    (chosen,) = (one.text for one in page.all("option") if "selected" in one.attributes)
    assert chosen == "done"
    assert page.first("input", id="search").attributes["value"] == "tw"


def test_a_row_has_state_progress_and_owner(shown, visit):
    page = visit(shown, "vera").page("/")
    _, sweep, state, runs, owner, submitted = rows(page.first("table", id="list"))[1]
    assert sweep.split() == ["waiting"]
    assert state.strip() == "queued, number 1"
    assert "0 of 4 runs" in runs
    assert owner == "max"
    assert submitted.startswith("just now")
    assert "UTC" in submitted


def test_a_state_is_a_text_with_a_mark(shown, visit):
    page = visit(shown, "vera").page("/")
    states = [one for one in page.all("span") if "state" in one.attributes.get("class", "").split()]
    assert len(states) == 6
    assert all(one.text.strip() and list(one.all("svg")) for one in states)


def test_failed_runs_are_counted_apart(shown, visit):
    text = visit(shown, "vera").page("/").first("tr", id="sweep-awkward").text
    assert "failed" in text
    assert "18 of 18 runs" in text


def test_an_empty_store_leads_to_the_first_sweep(site, visit):
    page = visit(site, "max").page("/")
    assert "no sweeps yet" in page.text
    assert any(link.attributes["href"] == "/submit?example=true" for link in page.all("a"))


def test_viewers_of_an_empty_store_are_not_asked_to_submit(site, visit):
    page = visit(site, "vera").page("/")
    assert not any(link.attributes["href"].startswith("/submit") for link in page.all("a"))


def test_many_sweeps_are_in_pages(shown, visit, monkeypatch):
    monkeypatch.setattr(listing, "PER_PAGE", 4)
    reader = visit(shown, "vera")
    first, second = reader.page("/?search="), reader.page("/?page=2")
    assert names(first) + names(second) == [
        *("waiting", "awkward", "begun", "hand", "nothing", "two"),
    ]
    (nav,) = (one for one in first.all("nav") if one.attributes.get("id") == "pages")
    assert [link.attributes["href"] for link in nav.all("a")] == ["/", "/?page=2"]
    assert names(reader.page("/?page=99")) == names(second)


def test_positions_in_the_queue_are_those_in_which_sweeps_start(tmp_path, visit):
    users = Users(tmp_path / "store")
    for user, name in (("max", "one"), ("max", "two"), ("mia", "three")):
        users.submit(user, name=name)
    page = visit(users, "vera").page("/")
    states = {row[1].split()[0]: row[2].strip() for row in rows(page.first("table", id="list"))[1:]}
    users.close()
    assert states == {
        "one": "queued, number 1",
        "three": "queued, number 2",
        "two": "queued, number 3",
    }


def test_the_content_alone_is_for_scripts(shown, visit):
    answer = visit(shown, "vera").get("/", **{"X-Fragment": "1"})
    assert "<html" not in answer.text
    assert 'id="sweep-hand"' in answer.text


def test_trouble_of_the_supervision_is_shown(site, visit):
    site.jobs.down = True
    with pytest.raises(ClusterError):
        site.step()
    site.service.supervisor.problem = "no answer from <the cluster>"
    site.submit(name="walks")
    assert "no answer from <the cluster>" in visit(site, "vera").page("/").text


def test_the_load_of_the_cluster_is_read_from_the_status_of_the_dashboard():
    usage = {"CPU": [3.0, 16.0], "GPU": [1.0, 2.0], "memory": [0.0, 1.0]}
    report = {"usage": usage, "usageByNode": {"a": {}, "b": {}}}
    status = {"clusterStatus": {"loadMetricsReport": report}}
    assert load_of(status) == Load(2, 16.0, 3.0, 2.0, 1.0)


def test_a_cluster_that_has_just_started_has_no_load():
    with pytest.raises(KeyError):
        load_of({"clusterStatus": None})


def asked(load, ask):
    """The load after the answer to a question."""
    load.shown()
    ask.wait()
    return load.shown()


class Waiting(FakeJobs):
    """A cluster that answers when it is let."""

    def __init__(self, down):
        super().__init__()
        self.down = down

    def wait(self):
        import threading

        for thread in threading.enumerate():
            if thread.name == "raysweep-load":
                thread.join()


def test_a_page_does_not_wait_for_the_load():
    jobs = Waiting(down=False)
    load = ClusterLoad(jobs.load)
    assert load.shown().load is None
    assert asked(load, jobs).load == jobs.load()


def test_a_cluster_that_does_not_answer_is_silent():
    jobs = Waiting(down=True)
    assert asked(ClusterLoad(jobs.load), jobs).is_silent

"""The page of several sweeps side by side."""

from types import SimpleNamespace

import pytest
from figure_helpers import spec_of, store_of
from report_page import rows
from service_helpers import Users

from raysweep.api import compare
from raysweep.errors import SpecError
from raysweep.formats.tables import result_grid
from raysweep.report.comparison import shared_metrics

SELECT = {"metric": "distance", "mode": "max"}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A service with sweeps that share metrics, and select by different ones."""
    store = tmp_path_factory.mktemp("compare") / "store"
    store_of(store, spec_of(name="one"))
    store_of(store, spec_of(name="other", training={"lr": 0.5}))
    store_of(store, spec_of(name="third", select=SELECT))
    store_of(store, spec_of(name="empty"), ended=lambda *which: None)
    users = Users(store)
    users.service.catalogue.poll()
    users.submit(name="waiting")
    yield users
    users.close()


def numbers(users, visit, *names, **more):
    """The numbers of sweeps side by side."""
    query = "&".join([f"sweep={name}" for name in names] + [f"{k}={v}" for k, v in more.items()])
    return visit(users, "vera").page(f"/compare/numbers?{query}")


def test_the_page_loads_its_numbers_after_it(several, visit):
    page = visit(several, "vera").page("/compare?sweep=one&sweep=other&sweep=one&sweep=")
    (part,) = (one for one in page.all("div") if "data-part" in one.attributes)
    assert part.attributes["data-part"] == "/compare/numbers?sweep=one&sweep=other"
    assert page.first("title").text == "Compare one, other · raysweep"


def test_one_table_has_all_sweeps(several, visit):
    page = numbers(several, visit, "one", "other", "third", select="train_loss")
    readings = several.app.state.parts.readings
    every = [readings.open(name) for name in ("one", "other", "third")]
    assert rows(page.first("table")) == result_grid(compare(*every, select="train_loss")).texts


def test_every_shared_metric_can_be_shown(several, visit):
    page = numbers(several, visit, "one", "other")
    (select,) = (one for one in page.all("select") if one.attributes["id"] == "table-metric")
    assert [option.text for option in select.all("option")] == ["train_loss", "distance [m]"]


def test_two_sweeps_have_their_differences(several, visit):
    page = numbers(several, visit, "one", "other")
    heads = [rows(table)[0] for table in page.all("table")]
    assert ["setting", "one", "other"] in heads
    settings = [rows(table) for table in page.all("table")][
        heads.index(["setting", "one", "other"])
    ]
    assert any(row[0] == "training.lr" and row[2] == "0.5" for row in settings)


def test_three_sweeps_have_one_table_alone(several, visit):
    page = numbers(several, visit, "one", "other", "third", select="train_loss")
    assert "Differences" not in page.text


def test_sweeps_that_select_by_different_metrics_say_so(several, visit):
    page = numbers(several, visit, "one", "third")
    assert "expected one metric for all sweeps" in page.text


def test_the_metric_that_selects_can_be_chosen(several, visit):
    page = visit(several, "vera").page("/compare?sweep=one&sweep=third&select=distance")
    (chosen,) = (
        option.text
        for option in page.first("select", id="select").all("option")
        if "selected" in option.attributes
    )
    assert chosen == "distance"
    assert (
        "maximum mean distance" in numbers(several, visit, "one", "third", select="distance").text
    )


def test_sweeps_without_a_common_metric_say_what_each_has():
    sweeps = [
        SimpleNamespace(sweep=name, spec=SimpleNamespace(metrics=metrics))
        for name, metrics in (("one", {"loss": {}, "bound": {}}), ("other", {"score": {}}))
    ]
    told = "share a metric, got none: one has loss, bound; other has score"
    with pytest.raises(SpecError, match=told):
        shared_metrics(sweeps)


def test_a_sweep_without_an_ended_run_has_empty_rows(several, visit):
    page = numbers(several, visit, "one", "empty")
    table = {row[0]: row[1:] for row in rows(page.first("table"))}
    assert table["one: ST"][0] == "10.0 ± 1.0 (3)"
    assert set(table["empty: ST"]) == {"missing", "–"}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Choose two sweeps or more"),
        ("sweep=one", "Choose another sweep"),
        ("sweep=one&sweep=oter", "did you mean 'other'?"),
        ("sweep=one&sweep=waiting", "no session of waiting has started yet"),
        ("&".join(f"sweep=s{index}" for index in range(21)), "at most 20 sweeps, got 21"),
    ],
)
def test_a_choice_that_cannot_be_compared_says_why(several, visit, query, text):
    page = visit(several, "vera").page(f"/compare?{query}")
    assert text in page.text
    assert not [one for one in page.all("div") if "data-part" in one.attributes]


def test_sweeps_can_be_added_and_left_out(several, visit):
    page = visit(several, "vera").page("/compare?sweep=one&sweep=other")
    ticked = [one.attributes["value"] for one in page.all("input", type="checkbox")]
    offered = [one.attributes["value"] for one in page.first("datalist").all("option")]
    assert ticked == ["one", "other"]
    assert sorted(offered) == ["empty", "third", "waiting"]

"""Numbers for Prometheus, and the dashboard that shows them."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy" / "grafana.json").read_text())


def families(users):
    text = users.client("vera", prefix="").get("metrics").text
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family):
    return {next(iter(one.labels.values()), ""): one.value for one in family.samples}


def test_sweeps_are_counted_by_state(users):
    users.submit(name="a")
    users.submit(name="b")
    users.client("max").post("sweeps/b/cancel")
    counts = values(families(users)["raysweep_sweeps"])
    assert counts == {"queued": 1, "running": 0, "stopped": 1, "done": 0, "failed": 0}


def test_runs_and_ends_of_drivers_are_counted(trained):
    shown = families(trained)
    assert values(shown["raysweep_runs"])["done"] == 4
    assert {one.labels["outcome"]: one.value for one in shown["raysweep_driver_ends"].samples
            if one.name.endswith("_total")} == {"done": 1}  # fmt: skip


def test_the_first_in_the_queue_says_how_long_it_waits(users):
    users.submit()
    assert 0 < families(users)["raysweep_waiting_seconds"].samples[0].value < 60


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_the_dashboard_shows_numbers_that_there_are(users, panel):
    (target,) = panel["targets"]
    names = set(re.findall(r"raysweep_\w+", target["expr"]))
    known = families(users)
    assert names
    assert {name.removesuffix("_total") for name in names} <= set(known)
    labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    present = {
        label for name in names for one in known[name.removesuffix("_total")].samples
        for label in one.labels
    }  # fmt: skip
    assert labels <= present | {"sweep", "outcome", "status"}


def test_panels_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells

"""Every command counts the same runs as planned, and names the same number for all of them."""

import csv
import re

import pytest
from stopped_helpers import stopped

import raysweep
from raysweep.cli.plan_text import plan_text
from raysweep.driver import opening, session
from raysweep.formats.status import status_text
from raysweep.progress import View

FRESH = 2
SWEEP = {
    "name": "counts",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"A": {"estimator": "straight_through"}, "B": {"estimator": "reinforce"}},
    "training": {"lr": {"low": 0.01, "high": 0.5}},
    "seeds": {"search": 3, "report": FRESH},
    "search": {"sampler": "random", "configurations": 2},
}


def more(number):
    """The sweep with more configurations, of which a later one is better."""
    return {**SWEEP, "search": {**SWEEP["search"], "configurations": number}}


def planned(spec, results, tmp_path):
    """The number of planned runs that ended, by each command."""
    schedule = session.plan(spec, tmp_path)
    rows = results.sql("select count(*) as n from planned").to_pylist()
    marked = results.sql("select count(*) as n from runs where in_plan").to_pylist()
    path = tmp_path / "rows.csv"
    results.export_csv(path)
    with path.open() as lines:
        exported = len(list(csv.DictReader(lines)))
    path.unlink()
    words = re.search(r"(\d+) done", plan_text(schedule).rpartition("runs")[0])
    return {
        "plan": sum(run_id in schedule.ended for run_id in schedule.planned),
        "text of plan": int(words[1]),
        "status": int(re.search(r"(\d+) of .*planned", status_text(str(tmp_path), "counts"))[1]),
        "planned": rows[0]["n"],
        "in_plan": marked[0]["n"],
        "csv": exported,
    }


@pytest.fixture
def extended(tmp_path):
    """A search that found a better configuration after its end: its results and both files."""
    raysweep.run(SWEEP, store=tmp_path, inline=True)
    results = raysweep.run(more(6), store=tmp_path, inline=True)
    return session.load(more(6)), results


def test_fresh_seeds_of_a_configuration_selected_before_are_not_planned(extended, tmp_path):
    spec, results = extended
    assert results.runs().num_rows > 2 * (6 * 3 + FRESH)  # the selection changed
    counts = planned(spec, results, tmp_path)
    assert set(counts.values()) == {2 * (6 * 3 + FRESH)}, counts


def test_fresh_seeds_of_the_configuration_that_is_shown_are_planned_in_a_search(tmp_path):
    raysweep.run(SWEEP, store=tmp_path, inline=True)
    results, spec = raysweep.open(tmp_path, "counts"), session.load(more(6))
    results.store.write_spec(spec)
    counts = planned(spec, raysweep.open(tmp_path, "counts"), tmp_path)
    assert set(counts.values()) == {2 * (2 * 3 + FRESH)}, counts


def test_no_configuration_has_its_seeds_and_the_provisional_one_keeps_its_fresh_seeds(tmp_path):
    raysweep.run(SWEEP, store=tmp_path, inline=True)
    spec = session.load({**SWEEP, "seeds": {"search": 5, "report": FRESH}})
    raysweep.open(tmp_path, "counts").store.write_spec(spec)
    counts = planned(spec, raysweep.open(tmp_path, "counts"), tmp_path)
    assert set(counts.values()) == {2 * (2 * 3 + FRESH)}, counts


def test_plan_and_run_say_what_is_on_fresh_seeds_of_other_configurations(extended, tmp_path):
    spec, results = extended
    others = results.runs().num_rows - 2 * (6 * 3 + FRESH)
    lines = opening.notices(session.plan(spec, tmp_path))
    assert lines[-1].startswith(f"{others} stored runs are on fresh seeds of configurations that")


def totals(spec, tmp_path):
    """The number of all runs, as each command says it."""
    schedule = session.plan(spec, tmp_path)
    says = {
        "plan": plan_text(schedule),
        "run": View(schedule).line(),
        "resuming": opening.resuming(schedule)[0],
        "status": status_text(str(tmp_path), "counts"),
    }
    patterns = {"plan": r"(\d+) runs(?: in all|:)"}
    return {
        name: int(re.search(patterns.get(name, r"of (?:up to )?(\d+)"), text)[1])
        for name, text in says.items()
    }


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
@pytest.mark.parametrize("stopping", [{}, {"early_stopping": {"pruner": "racing"}}])
def test_every_command_names_the_same_number_of_all_runs(tmp_path, sampler, stopping):
    number, lr = (2, [0.1, 0.2]) if sampler == "grid" else (9, SWEEP["training"]["lr"])
    search = {"sampler": sampler, **({} if sampler == "grid" else {"configurations": number})}
    sweep = {**SWEEP, **stopping, "search": search, "training": {"lr": lr}}
    raysweep.run(
        {**sweep, "estimators": {"A": SWEEP["estimators"]["A"]}}, store=tmp_path, inline=True
    )
    spec = session.load(sweep)  # with another arm, whose runs are to come
    raysweep.open(tmp_path, "counts").store.write_spec(spec)
    expected = 2 * (number * 3 + FRESH)
    assert set(totals(spec, tmp_path).values()) == {expected}, totals(spec, tmp_path)


def test_a_bound_is_said_as_a_bound_until_all_runs_ended(tmp_path):
    spec = session.load(SWEEP)
    text = plan_text(session.plan(spec, tmp_path))
    assert "12 runs so far: 12 missing, which train first; up to 16 runs in all" in text
    assert View(session.plan(spec, tmp_path)).line() == "0 of up to 16 runs"
    raysweep.run(SWEEP, store=tmp_path, inline=True)
    assert "\n16 runs: 16 done\n" in plan_text(session.plan(spec, tmp_path))
    assert "16 of 16 planned runs ended" in status_text(str(tmp_path), "counts")


def test_a_search_that_hours_end_names_no_number(tmp_path):
    search = {"search": {"sampler": "random"}, "budget": {"hours": 1}}
    schedule = session.plan(session.load({**SWEEP, **search}), tmp_path)
    assert "; as many as the budget allows in all" in plan_text(schedule)
    assert View(schedule).line() == "0 runs"


def test_seeds_that_a_bad_one_made_useless_are_not_expected(tmp_path):
    (tmp_path / "trouble.json").write_text('{"nan": [0]}')
    task = {"task": "toy", "trouble": str(tmp_path / "trouble.json")}
    racing = {"early_stopping": {"pruner": "racing"}, "seeds": {"search": 4, "report": 1}}
    sweep = {**SWEEP, **racing, "tasks": {"walk": task}}
    raysweep.run(sweep, store=tmp_path, inline=True)
    # Two seeds of two configurations of two arms, none of which can be selected.
    assert "\n8 runs: 4 done, 4 diverged\n" in plan_text(
        session.plan(session.load(sweep), tmp_path)
    )
    assert "8 of 8 planned runs ended" in status_text(str(tmp_path), "counts")


SEARCH = {"search": {"sampler": "tpe", "configurations": 6}, "seeds": 2}
BUDGETS = {
    "runs": {"runs": 7},
    "runs with fresh seeds": {"runs": 14},
    "an arm's runs": {"arm": {"runs": 5}},
    "hours": {"hours": 1e-7},
}


@pytest.mark.parametrize("budget", list(BUDGETS))
def test_no_command_promises_runs_once_a_budget_ended_the_search(tmp_path, budget):
    sweep = {**SWEEP, **SEARCH, "budget": BUDGETS[budget]}
    if "fresh" in budget:
        sweep["seeds"] = {"search": 2, "report": 3}
    ended = raysweep.run(sweep, store=tmp_path, inline=True).runs().num_rows
    text = plan_text(session.plan(session.load(sweep), tmp_path))
    assert f"\n{ended} runs: {ended} done\n" in text
    assert "will propose" not in text
    assert "of 6" not in text
    said = status_text(str(tmp_path), "counts")
    assert f"{ended} of {ended} planned runs ended; no driver" in said


@pytest.mark.parametrize("budget", [None, *BUDGETS])
def test_a_stopped_session_and_status_agree_on_the_runs_that_are_missing(
    tmp_path, monkeypatch, budget
):
    task = {"task": "toy", "steps": 4, "report_every": 2}
    sweep = {**SWEEP, **SEARCH, "tasks": {"walk": task}, "resources": {"pack": 1}}
    if budget:
        sweep["budget"] = BUDGETS[budget]
    ended = stopped(monkeypatch, tmp_path, sweep, 5)
    said = status_text(str(tmp_path), "counts")
    if ended.is_open_ended:
        assert "and a budget ends the search" in said
    else:
        done, total = map(int, re.search(r"(\d+) of (?:up to )?(\d+) planned", said).groups())
        assert ended.missing == total - done
        assert ended.is_bound == ("up to" in said)


def test_status_shows_every_arm_of_a_search_that_was_stopped_in_the_first(tmp_path, monkeypatch):
    task = {"task": "toy", "steps": 4, "report_every": 2}
    sweep = {**SWEEP, **SEARCH, "tasks": {"walk": task}, "resources": {"pack": 1}}
    stopped(monkeypatch, tmp_path, sweep, 5)
    assert "B · walk     0         0        0       0" in status_text(str(tmp_path), "counts")

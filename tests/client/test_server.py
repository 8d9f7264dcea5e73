"""A service from Python: the words and the results are those of a store."""

import importlib.util
import subprocess
import sys

import altair
import numpy as np
import pyarrow as pa
import pytest
from figure_helpers import spec_of, store_of
from live_service import SWEEP, serving
from ruamel.yaml import YAML

import raysweep
from raysweep.client.results import RemoteResults
from raysweep.client.server import Server
from raysweep.figures.kinds import save
from raysweep.figures.layout import describe

CONTENT = YAML(typ="safe").load(SWEEP)


@pytest.fixture
def remote(stored):
    """A sweep of a service, and the same of its store."""
    server = raysweep.connect(stored.url, stored.token("vera", "viewer"))
    return server.open("hand"), raysweep.open(stored.store, "hand")


def test_connect_checks_the_token(stored):
    assert raysweep.connect(stored.url, stored.token("vera", "viewer")).me() == {
        "name": "vera",
        "role": "viewer",
    }
    with pytest.raises(raysweep.ServerError, match="does not know the token"):
        raysweep.connect(stored.url, "raysweep_0_x")


def test_connect_takes_the_variables(stored, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_SERVER", stored.url)
    monkeypatch.setenv("RAYSWEEP_TOKEN", stored.token("vera", "viewer"))
    assert raysweep.connect().me()["name"] == "vera"


@pytest.mark.parametrize("table", ["runs", "planned", "curves", "attempts", "decisions"])
def test_rows_are_those_of_the_store(remote, table):
    here, there = remote[1].rows(table), remote[0].rows(table)
    assert there.schema.equals(here.schema, check_metadata=True)
    assert plain(there) == plain(here)


@pytest.mark.parametrize("name", ["runs", "curves", "attempts"])
def test_named_tables_have_the_rows_of_the_store(remote, name):
    rows = getattr(remote[0], name)()
    assert rows.num_rows == getattr(remote[1], name)().num_rows
    assert isinstance(rows, pa.Table)


def plain(table):
    """Rows without order, and with NaN equal to itself."""
    return sorted(map(repr, table.to_pylist()))


OPTIONS = [
    {},
    {"report": "distance", "spread": "sem"},
    {"tasks": "A", "average": True, "level": 0.1},
    {"rows": ["ST"], "where": "seed < 2"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_table_shows_itself_and_renders_as_of_the_store(remote, options):
    there, here = (results.table(**options) for results in remote)
    assert str(there) == str(here)
    assert repr(there) == repr(here)
    assert there._repr_html_() == here._repr_html_()
    for format in ("text", "markdown", "latex", "html", "csv", "json"):
        assert there.render(format) == here.render(format)


def test_results_show_their_table(remote):
    there, here = remote
    assert str(there) == str(here)
    assert there._repr_html_() == here._repr_html_()
    assert repr(there) == f"raysweep.connect({there.connection.url!r}).open('hand')"


def test_statistics_and_top_show_themselves_as_of_the_store(remote):
    there, here = remote
    assert there.statistics(report="distance")._repr_html_() == (
        here.statistics(report="distance")._repr_html_()
    )
    assert str(there.top(2, metric="distance", tasks=["B"])) == (
        str(here.top(2, metric="distance", tasks=["B"]))
    )
    assert there.top()._repr_html_() == here.top()._repr_html_()


def test_an_unknown_format_has_the_words_of_a_store(remote):
    messages = []
    for results in remote:
        with pytest.raises(raysweep.SpecError) as caught:
            results.table().render("pdf")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_table_gives_its_values(remote):
    data = remote[0].table().data
    assert data["report"] == "train_loss"
    assert len(data["cells"]) == 4


def test_several_sweeps_are_compared_as_of_the_store(remote, stored):
    server = Server(connection=remote[0].connection)
    here = raysweep.compare(remote[1], raysweep.open(stored.store, "other"), report="distance")
    assert str(server.compare("hand", "other", report="distance")) == str(here)


def test_importance_is_that_of_the_store(remote, stored):
    there = RemoteResults(remote[0].connection, "search")
    assert there.importance() == raysweep.open(stored.store, "search").importance()


def test_sql_gives_arrow_tables(remote):
    query = "select estimator, count(*) as n from runs group by all order by all"
    assert remote[0].sql(query) == remote[1].sql(query)


def test_warnings_are_those_of_the_commands(remote):
    assert any("the code of task toy changed" in line for line in remote[0].warnings())


def test_a_figure_is_saved_as_the_file_of_the_command(remote, tmp_path):
    figure = remote[0].plot("curves", metric="train_loss", tasks="A")
    options = {"metric": ["train_loss"], "tasks": ["A"]}
    here = save(remote[1], "curves", options, tmp_path / "here.svg")
    assert figure.save(tmp_path / "x.svg").read_bytes() == here.read_bytes()


@pytest.mark.parametrize("kind", ["curves", "heatmap"])
def test_a_figure_gives_the_chart_of_the_store(remote, kind):
    figure = remote[0].plot(kind)
    chart = figure.chart()
    assert isinstance(chart, altair.ConcatChart)
    assert describe(chart) == figure.description == describe(remote[1].plot(kind))


def test_a_figure_of_curves_follows_a_change_of_them(tmp_path):
    here = store_of(tmp_path, spec_of())
    with serving(tmp_path) as live:
        there = Server(live.url, live.token()).open("hand")
        before = there.plot("curves").description
        here.store.files.remove(here.store.files.names("curves")[0])
        after = there.plot("curves").description
    assert before != after == describe(here.plot("curves"))


def test_a_figure_shows_itself_in_a_notebook_as_of_the_store(remote):
    there, here = (results.plot("seeds")._repr_mimebundle_() for results in remote)
    assert there.keys() == here.keys()
    assert there == here


@pytest.mark.parametrize("name", ["x.jpg", "missing/x.png"])
def test_a_figure_that_cannot_be_saved_is_refused(remote, tmp_path, name):
    with pytest.raises(raysweep.SpecError, match="file: "):
        remote[0].plot("seeds").save(tmp_path / name)


def test_a_report_is_written_to_a_page(remote, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = remote[0].report()
    assert str(there) == "hand.html"
    assert there.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(raysweep.SpecError, match=r"path: expected a name that ends in \.html"):
        remote[0].report("x.pdf")


def test_sweeps_are_listed_by_tag_state_owner_and_text(stored):
    server = Server(stored.url, stored.token("vera", "viewer"))
    assert [sweep["name"] for sweep in server.ls()] == ["hand", "other", "search"]
    assert [sweep["name"] for sweep in server.ls(tags="draft")] == ["hand"]
    assert [sweep["name"] for sweep in server.ls(states=["stopped"])] == []
    assert [sweep["name"] for sweep in server.ls(search="two")] == ["hand"]
    assert server.ls(owner="ada") == ()
    head, first, *_ = str(server.ls()).splitlines()
    assert head.split() == ["sweep", "state", "runs", "ended", "owner", "tags", "description"]
    assert first.split()[:5] == ["hand", "failed", "18", "of", "18"]
    assert "<td" in server.ls()._repr_html_()


def test_a_sweep_that_is_not_there_has_the_words_of_a_store(stored):
    server = Server(stored.url, stored.token("vera", "viewer"))
    with pytest.raises(raysweep.SpecError) as there:
        server.open("hans")
    with pytest.raises(raysweep.SpecError) as here:
        raysweep.open(stored.store, "hans")
    assert str(there.value) == str(here.value)


@pytest.mark.parametrize("name", ["", "a/b", "..", "Hand!"])
def test_what_cannot_be_a_sweep_is_refused(stored, name):
    server = Server(stored.url, stored.token("vera", "viewer"))
    with pytest.raises(raysweep.SpecError, match=r"expected a sweep's name of at most 64"):
        server.open(name)


@pytest.mark.parametrize("source", ["mapping", "path"])
def test_run_trains_and_returns_results(server, source, tmp_path):
    (tmp_path / "small.yaml").write_text(SWEEP)
    results = server.run(CONTENT if source == "mapping" else tmp_path / "small.yaml")
    assert results.runs().num_rows == 4
    assert results.status()["state"] == "done"
    assert "4.5" in str(results) or "walk" in str(results)


def test_run_trains_what_raysweep_run_trains(server, tmp_path):
    there = server.run(CONTENT, changes=["seeds=1"], quiet=True)
    here = raysweep.run(CONTENT, changes=["seeds=1"], store=tmp_path / "here", inline=True)
    ids = [sorted(rows["run_id"].to_pylist()) for rows in (there.runs(), here.runs())]
    assert ids[0] == ids[1]


def test_a_mapping_may_hold_numbers_of_numpy(server):
    content = {**CONTENT, "seeds": np.arange(2), "training": {"lr": np.float32(0.1)}}
    assert server.check(content) == {"name": "small", "planned": 4, "arms": 1, "exists": False}


def test_check_stores_nothing(server, live):
    assert server.check(CONTENT, changes=["seeds=5"], smoke=True)["name"] == "small-smoke"
    assert server.ls() == ()


def test_submit_returns_at_once(server, live):
    live.jobs.held = True
    results = server.run(CONTENT, wait=False)
    assert results.status()["state"] in ("queued", "running")
    live.jobs.release()
    assert results.wait()["state"] == "done"


def test_progress_is_shown_until_the_end(server, capsys):
    server.run(CONTENT, quiet=False)
    assert "4 of 4 runs in 0 s" in capsys.readouterr().err


def test_events_are_states_until_the_end(server):
    states = list(server.submit(CONTENT).events())
    assert states[-1]["state"] == "done"
    assert states[-1]["runs"] == {"planned": 4, "done": 4, "diverged": 0, "stopped": 0, "failed": 0}
    assert {state["state"] for state in states[:-1]} <= {"queued", "running", "done"}


def test_an_interrupt_leaves_the_sweep(server, live, monkeypatch, caplog):
    live.jobs.held = True

    def interrupted(results):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(RemoteResults, "events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.run(CONTENT)
    assert caplog.messages == [f"small continues on {live.url}; results.cancel() stops it"]
    assert live.service.sweeps.entry("small").submission.wanted == "running"


def test_failed_runs_are_warned_of(server, tmp_path, caplog):
    trouble = tmp_path / "trouble.json"
    trouble.write_text('{"raise": [1]}')
    results = server.run(CONTENT, changes=[f"tasks.walk.trouble={trouble}"])
    assert "RuntimeError: this seed is unlucky" in caplog.messages[0]
    assert results.status()["runs"]["failed"] == 2
    assert "this seed is unlucky" in results.logs()
    assert results.logs(tail=1).count("\n") == 1
    trouble.unlink()
    results.resume()
    assert results.wait()["state"] == "done"


def test_a_sweep_that_cannot_run_is_a_spec_error(server, live):
    live.jobs.ends.append((2, "raysweep: no such data\n"))
    with pytest.raises(raysweep.SpecError, match=r"^no such data$"):
        server.run(CONTENT)


def test_mistakes_of_a_mapping_have_the_lines_of_run(server, tmp_path):
    content = {**CONTENT, "seed": 2, "tasks": {"walk": {"task": "tow"}}}
    with pytest.raises(raysweep.SpecError) as there:
        server.submit(content, changes=["seeds=no"])
    with pytest.raises(raysweep.SpecError) as here:
        raysweep.run(content, changes=["seeds=no"], store=tmp_path, inline=True)
    assert there.value.problems == here.value.problems


def test_a_sweep_that_runs_is_held(server, live):
    live.jobs.held = True
    results = server.submit(CONTENT)
    for change in (lambda: server.submit(CONTENT), results.resume, results.remove):
        with pytest.raises(raysweep.LeaseHeld, match=r"small (runs|waits to run already)"):
            change()
    results.cancel()
    assert results.wait()["state"] == "stopped"
    with pytest.raises(raysweep.RaysweepError, match="expected small to run or to wait"):
        results.cancel()


def test_more_seeds_are_trained_and_some_runs_removed(server):
    results = server.run(CONTENT)
    results.extend(3)
    assert results.wait()["runs"]["done"] == 6
    results.remove(where="seed = 2")
    assert results.runs().num_rows == 4
    results.remove()
    with pytest.raises(raysweep.SpecError, match="got 'small'"):
        results.status()


def test_logs_of_the_driver_are_what_it_printed(server):
    assert "4 of 4 runs" in server.run(CONTENT).logs(driver=True)


HEAVY = {"torch", "ray", "fastapi", "optuna", "altair", "duckdb", "scipy", "pyarrow", "numpy"}


def test_the_client_imports_nothing_heavy():
    code = f"import sys, raysweep, raysweep.client.server\nprint(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_raysweep_itself_imports_no_client():
    code = "import sys, raysweep, raysweep.cli.main; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert importlib.util.find_spec("httpx") is not None

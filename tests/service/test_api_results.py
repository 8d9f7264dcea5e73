"""The HTTP interface: results of a sweep are those of the commands and of Python."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from service_helpers import Users

import raysweep
from raysweep.formats import statistics as statistics_formats
from raysweep.formats import top as top_formats
from raysweep.formats.table_formats import FORMATS


def results(users):
    return raysweep.open(users.service.store.uri, "walks")


@pytest.mark.parametrize("format", FORMATS)
def test_a_table_is_what_python_renders(trained, format):
    answer = trained.client("vera").get("sweeps/walks/table", params={"format": format})
    assert answer.text == results(trained).table().render(format)


@pytest.mark.parametrize("format", statistics_formats.FORMATS)
def test_statistics_are_what_python_renders(trained, format):
    opened = results(trained)
    expected = statistics_formats.FORMATS[format](opened.statistics(), opened.sensitivity())
    answer = trained.client("vera").get("sweeps/walks/statistics", params={"format": format})
    assert answer.text == expected


@pytest.mark.parametrize("format", top_formats.FORMATS)
def test_the_best_configurations_are_what_python_renders(trained, format):
    answer = trained.client("vera").get("sweeps/walks/top", params={"format": format, "n": 1})
    assert answer.text == results(trained).top(1).render(format)


def test_options_of_a_table_are_those_of_python(trained):
    options = {"report": "distance", "spread": "sem", "where": "seed < 1"}
    query = {**options, "format": "csv"}
    answer = trained.client("vera").get("sweeps/walks/table", params=query)
    assert answer.text == results(trained).table(**options).render("csv")


@pytest.mark.parametrize("table", ["runs", "planned", "curves", "attempts", "decisions"])
@pytest.mark.parametrize(
    ("format", "read"),
    [
        ("parquet", lambda data: pq.read_table(io.BytesIO(data))),
        ("arrow", lambda data: pa.ipc.open_stream(data).read_all()),
    ],
)
def test_rows_arrive_as_they_are_stored(trained, table, format, read):
    query = {"table": table, "format": format}
    rows = read(trained.client("vera").get("sweeps/walks/runs", params=query).content)
    schema, parts = results(trained).batches(table)
    expected = pa.concat_tables([schema.empty_table(), *parts])
    assert rows.equals(expected)


@pytest.mark.parametrize("format", ["json", "svg", "png", "pdf", "html"])
def test_figures_come_in_every_format(trained, format):
    begins = {"json": b"{", "svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!DOCTYPE"}
    answer = trained.client("vera").get("sweeps/walks/figures/curves", params={"format": format})
    assert answer.content.startswith(begins[format])


def test_the_report_is_the_file_that_the_command_writes(trained, tmp_path):
    answer = trained.client("vera").get("sweeps/walks/report")
    results(trained).report(tmp_path / "report.html")
    assert answer.text == (tmp_path / "report.html").read_text()


def test_logs_of_the_driver_are_those_of_its_last_job(trained):
    answer = trained.client("vera").get("sweeps/walks/logs", params={"driver": True, "tail": 1})
    assert answer.text == f"log of {trained.last_job()}\n"


@pytest.mark.parametrize(
    "path",
    ["", "/table", "/statistics", "/top", "/runs", "/curves", "/logs", "/events", "/report",
     "/figures/curves", "/warnings"],
)  # fmt: skip
def test_a_sweep_that_is_not_there_is_not_found(trained, path):
    answer = trained.client("vera").get(f"sweeps/none{path}")
    assert answer.status_code == 404
    assert "expected a sweep in" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/table", "/statistics", "/top", "/runs", "/report"])
def test_a_sweep_that_has_not_begun_has_no_results(users, path):
    users.submit()
    assert users.client("vera").get(f"sweeps/walks{path}").status_code == 404
    assert users.client("vera").get("sweeps/walks").json()["runs"]["planned"] == 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("table?select=los", "select: expected a metric of the sweep, got 'los'"),
        ("table?tasks=wlk", "tasks: expected a label of the sweep file, got 'wlk'"),
        ("table?where=sed<1", "where: expected a condition"),
        ("table?format=xls", "format: Input should be"),
        ("table?level=2", "level: expected a number between 0 and 1, got 2"),
        ("figures/curves?over=lr", "over: a figure of kind curves has no such option"),
        ("figures/pie", "kind: Input should be"),
        ("top?n=0", "n: expected a number of at least 1, got 0"),
        ("logs?run=zz", "expected"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(trained, path, message):
    answer = trained.client("vera").get(f"sweeps/walks/{path}")
    assert answer.status_code == 422
    assert answer.json()[0]["message"].startswith(message)
    assert answer.json()[0]["line"] is None


@pytest.mark.parametrize(
    "where",
    ["seed in (select count(*) from read_text('/etc/passwd'))",
     "seed < 5) union select content, content, content, content from read_text('/etc/passwd') --",
     "1=1); copy runs to '/tmp/stolen.csv'; select (1=1"],
)  # fmt: skip
def test_a_condition_reaches_no_files(trained, where):
    answer = trained.client("vera").get("sweeps/walks/table", params={"where": where})
    assert answer.status_code == 422
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["runs", "curves", "table", "report", "logs", "figures/curves"])
def test_an_answer_that_is_too_large_is_refused(trained, tmp_path, path):
    users = Users(trained.service.store.uri, answer_bytes=10)
    answer = users.client("vera").get(f"sweeps/walks/{path}")
    users.close()
    assert answer.status_code == 413
    assert "at most 10 bytes" in answer.json()["detail"]

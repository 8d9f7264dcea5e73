"""The report: one HTML file with all that is known of a sweep."""

import datetime
import re
import shutil
import subprocess

import pytest
import vl_convert
from figure_helpers import ESTIMATORS, TASKS, curve, loss, only_begun, spec_of, store_of
from report_page import data, read, rows

from raysweep.api import Results
from raysweep.figures.curves import CurvesRequest, prepare
from raysweep.figures.kinds import KINDS
from raysweep.figures.layout import VERSION
from raysweep.formats.tables import result_grid
from raysweep.results.sweep_results import SweepResults

AWKWARD = "</script><b>x</b> & \"q\" 'a' %{x} é数"
METRICS = ("train_loss", "distance")
TWO = {"metric": list(METRICS), "mode": ["min", "max"]}


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    """A sweep whose labels and messages look like markup, and its page."""
    folder = tmp_path_factory.mktemp("awkward")

    def ended(task, estimator, place, seed):
        return "diverged" if (place, seed) == (1, 2) else loss("A", estimator, place, seed)

    def about(task, estimator, place, seed):
        return {"error": f"{AWKWARD} at {seed}"} if (place, seed) == (1, 2) else {}

    spec = spec_of(
        {AWKWARD: TASKS["A"], "B": TASKS["B"]},
        {AWKWARD: ESTIMATORS["ST"], "RF": ESTIMATORS["RF"]},
    )
    results = store_of(folder, spec, ended, about=about)
    return results, results.report(folder / "page.html")


@pytest.fixture
def page_of(tmp_path):
    """The page of a sweep made by `store_of`."""

    def make(spec=None, *given, **more):
        results = store_of(tmp_path / "store", spec or spec_of(), *given, **more)
        return read(results.report(tmp_path / "page.html"))

    return make


def section(root, name):
    return root.first("section", id=name)


def view(part, key):
    """The first table that is shown for these choices."""
    return next(each for each in part.all("div") if each.attributes.get("data-key") == key)


def test_page_asks_for_nothing_from_anywhere(awkward):
    root = read(awkward[1])
    for element in root.all():
        for name in ("src", "href", "srcset", "action", "data"):
            assert element.attributes.get(name, "#").startswith("#"), element.tag
    styles = "".join(each.own for each in root.all("style"))
    assert "url(" not in styles
    assert "@import" not in styles


def test_page_forbids_the_network(awkward):
    root = read(awkward[1])
    policy = next(each for each in root.all("meta") if "http-equiv" in each.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; script-src 'unsafe-inline'")
    assert "http" not in policy.attributes["content"]


def test_page_forbids_programs_made_of_text(awkward):
    assert not any("unsafe-eval" in str(each.attributes) for each in read(awkward[1]).all("meta"))


def test_ids_are_unique_and_labels_name_them(awkward):
    root = read(awkward[1])
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    labelled = {each.attributes["for"] for each in root.all("label")}
    assert labelled <= set(ids)
    assert {each.attributes["id"] for each in root.all("select")} <= labelled
    targets = {each.attributes["href"] for each in root.all("a")}
    assert targets <= {f"#{each}" for each in ids}


def test_every_table_has_a_caption_and_heads(awkward):
    tables = list(read(awkward[1]).all("table"))
    assert tables
    for table in tables:
        assert table.first("caption").text
        assert all(row.children[0].tag == "th" for row in table.first("tbody").all("tr"))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", ["std", "sem", "ci"])
def test_tables_say_what_the_command_prints(awkward, metric, spread):
    results, path = awkward
    table = results.table(report=metric, spread=spread)
    part = view(section(read(path), "results"), f"{METRICS.index(metric)} {spread}")
    assert rows(part.first("table")) == result_grid(table).texts


def test_bold_is_the_tables(awkward):
    results, path = awkward
    table = results.table()
    part = view(section(read(path), "results"), "0 std")
    bold = [each.parent.parent.children[0].text for each in part.all("strong")]
    wanted = [e for e in table.estimators for c in table.columns if e in table.judgement(c).bold]
    assert bold == wanted


def test_median_is_over_the_seeds(page_of):
    root = page_of(ended=lambda task, estimator, place, seed: [1.0, 2.0, 9.0][seed])
    part = view(section(root, "results"), "0 median")
    assert rows(part.first("table"))[1][1] == "2.0000 (3)"
    assert "median (n)" in part.first("caption").text


def test_first_view_alone_is_shown_at_first(awkward):
    part = section(read(awkward[1]), "results")
    views = [each for each in part.all("div") if "data-key" in each.attributes]
    assert ["hidden" in each.attributes for each in views] == [False] + [True] * (len(views) - 1)


def test_labels_come_through_as_they_are(awkward):
    root = read(awkward[1])
    head, *below = rows(view(section(root, "results"), "0 std").first("table"))
    assert AWKWARD in head
    assert below[0][0] == AWKWARD
    assert f"{AWKWARD} at 2" in section(root, "failures").text
    assert not list(root.all("b"))


def test_data_cannot_end_its_script(awkward):
    for kind in ("application/json", "application/gzip"):
        for block in read(awkward[1]).all("script", type=kind):
            assert "<" not in block.own


def test_labels_are_no_markup_in_figures_either(awkward):
    views = data(read(awkward[1]))["curves"]["curves-0"]
    rows_drawn = {
        row for view in views.values() for part in view["data"].values() for row in part["row"]
    }
    assert AWKWARD in rows_drawn


def test_vega_draws_every_view(awkward):
    found = data(read(awkward[1]))
    assert set(found) == {
        *("curves", "seeds", "profile", "time", "search", "heatmap", "slice", "parallel"),
    }
    for plots in found.values():
        for views in plots.values():
            for view in views.values():
                assert "<svg" in drawn(view)


def test_every_head_of_a_table_has_a_text(awkward):
    heads = [head for table in read(awkward[1]).all("thead") for head in table.all("th")]
    assert all(head.text for head in heads)


def drawn(view):
    """A view as SVG, with its columns as records."""
    datasets = {}
    for name, columns in view["data"].items():
        (length,) = columns.pop("")
        datasets[name] = [
            {key: values[0 if len(values) == 1 else index] for key, values in columns.items()}
            for index in range(length)
        ]
    return vl_convert.vegalite_to_svg({**view["spec"], "datasets": datasets}, vl_version=VERSION)


def test_the_numbers_of_every_figure_are_a_table(awkward):
    root = read(awkward[1])
    for name in data(root):
        part = section(root, f"figure-{name}")
        assert len(rows(part.first("details").first("table"))) > 1, name


@pytest.mark.parametrize("kind", ["curves", "seeds"])
def test_the_numbers_of_a_large_figure_end_with_how_many_more_there_are(page_of, kind, monkeypatch):
    whole = len(rows(section(page_of(), f"figure-{kind}").first("details").first("table"))) - 1
    monkeypatch.setattr("raysweep.figures.drawing.MOST_NUMBERS", 1)
    cut = section(page_of(), f"figure-{kind}").first("details")
    assert rows(cut.first("table"))[-1][0] == f"and {whole - 1} more"
    assert cut.text.count(" more") == 1


@pytest.mark.parametrize("kind", ["seeds", "search", "parallel"])
def test_a_figure_has_the_caption_of_the_plot(awkward, kind):
    results, path = awkward
    prepared = KINDS[kind].prepare(results, KINDS[kind].request())
    caption = section(read(path), f"figure-{kind}").first("p", _class="caption").text
    assert caption == f"{KINDS[kind].draw(prepared).caption}."


def test_every_drawing_has_data_for_every_choice(awkward):
    root = read(awkward[1])
    for name, plots in data(root).items():
        part = section(root, f"figure-{name}")
        keys = [""]
        for select in part.all("select"):
            options = [each.attributes["value"] for each in select.all("option")]
            keys = [f"{key} {each}".strip() for key in keys for each in options]
        hidden = [each.attributes["value"] for each in part.all("input", type="hidden")]
        keys = [" ".join([*filter(None, [key]), *hidden]) for key in keys]
        assert all(list(views) == keys for views in plots.values()), name
        assert set(plots) == {each.attributes["id"] for each in part.all("div", _class="plot")}


def test_curves_are_those_of_the_figure(awkward):
    results, path = awkward
    line = prepare(results, CurvesRequest()).panels[0].lines[0]
    (columns,) = data(read(path))["curves"]["curves-0"]["0"]["data"].values()
    count = len(line.x)
    assert columns["x"][:count] == line.x.tolist()
    assert columns["y"][:count] == pytest.approx(line.y.tolist(), rel=1e-7)


def test_a_figure_without_data_says_why(page_of):
    root = page_of(spec_of(estimators={"RF": ESTIMATORS["RF"]}))
    assert "searches no setting" in section(root, "figure-parallel").text
    assert "needs two searched settings" in section(root, "figure-two-settings").text
    assert not set(data(root)) & {"parallel", "two-settings", "heatmap", "slice"}


def test_every_arm_has_its_statistics(page_of):
    root = page_of(ended=lambda task, estimator, place, seed: float(seed), points=None)
    head, *below = rows(view(section(root, "statistics"), "0").first("table"))
    assert [row[:2] for row in below] == [["ST", "A"], ["RF", "A"], ["ST", "B"], ["RF", "B"]]
    row = dict(zip(head, below[0], strict=True))
    assert row["mean"] == row["median"] == "1.0"
    assert (row["std"], row["sem"], row["n"]) == ("1.0", "0.6", "3")


def test_statistics_over_tasks_name_their_scale(page_of):
    part = view(section(page_of(), "statistics"), "0")
    _, means, chances = part.all("table")
    assert rows(means)[1:] == [["ST", "6", "1.000", "–"], ["RF", "6", "0.000", "–"]]
    assert rows(chances)[1:] == [["ST", "–", "0.78"], ["RF", "0.22", "–"]]
    assert "0 for the worst estimator's mean" in part.text


def test_configurations_have_their_settings_and_values(page_of):
    table = view(section(page_of(), "configurations"), "0").first("table")
    head, first, *_ = rows(table)
    row = dict(zip(head, first, strict=True))
    assert row["searched settings"] == "estimator.temperature = 2.0"
    assert row["values by seed"] == "0: 9, 1: 10, 2: 11"


def test_best_configurations_are_in_a_table_that_can_be_sorted(page_of):
    every = section(page_of(), "configurations").all("table")
    (table,) = (each for each in every if "data-sortable" in each.attributes)
    head, first, *_ = rows(table)
    assert dict(zip(head, first, strict=True))["settings"] == "temperature 2"


def test_failed_attempts_are_grouped_by_message(tmp_path):
    results = store_of(tmp_path, spec_of())
    for number in range(60):
        results.store.write_attempt(f"r{number}", 1, f"no memory on card {number % 55}")
    part = section(read(results.report(tmp_path / "page.html")), "failures")
    assert len(rows(part.first("table"))) == 51
    assert rows(part.first("table"))[1][0] == "2"
    assert "and 5 with 5 other messages" in part.text


def test_warnings_of_provenance_stand_at_the_top(page_of):
    root = page_of(about=lambda task, estimator, place, seed: {"torch": f"2.{seed}"})
    assert "mixed versions of torch" in root.first("header").text


def test_provenance_tells_versions_and_times(page_of):
    start = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    text = section(
        page_of(about=lambda *which: {"started_at": start, "version": "7.8"}), "provenance"
    ).text
    assert "2026-01-02 03:04:05 UTC" in text
    assert "7.8" in text


def test_sweep_file_is_there_word_for_word(awkward):
    results, path = awkward
    assert (
        section(read(path), "file").first("code").text
        == results.store.files.read("sweep.yaml").decode()
    )


def test_an_empty_sweep_says_so_and_shows_its_file(page_of):
    root = page_of(ended=lambda *which: None)
    assert "No run of this sweep has ended yet" in root.first("header").text
    assert "name: hand" in section(root, "file").text
    assert data(root) == {}


def test_a_sweep_that_diverged_tells_the_errors(page_of):
    root = page_of(ended=lambda *which: "diverged", about=lambda *which: {"error": "loss is nan"})
    table = section(root, "failures").first("table")
    *known, one_run, error = rows(table)[1]
    assert (known, error) == (["18", "diverged", "RF, ST on A, B"], "loss is nan")
    assert re.fullmatch(r"[0-9a-f]{16}", one_run)


def test_a_running_sweep_marks_what_is_provisional(page_of):
    part = view(section(page_of(ended=only_begun), "results"), "0 std")
    assert rows(part.first("table"))[1][1].endswith("?")


def test_two_metrics_show_the_front(page_of):
    root = page_of(spec_of(select=TWO))
    assert "Pareto front" in section(root, "results").text


def test_fresh_seeds_are_those_reported(page_of):
    root = page_of(spec_of(seeds={"search": 2, "report": 3}))
    assert "3 fresh seeds" in section(root, "results").text


def test_another_metric_may_select(tmp_path):
    results = store_of(tmp_path, spec_of())
    root = read(results.report(tmp_path / "page.html", select="distance"))
    assert "maximum mean distance" in section(root, "configurations").text


def test_the_same_results_give_the_same_bytes(awkward):
    results, path = awkward
    again = Results(results.store.store.uri, results.sweep).report(path.with_name("again.html"))
    assert again.read_bytes() == path.read_bytes()


def test_ended_runs_are_read_once(tmp_path, monkeypatch):
    results = store_of(tmp_path, spec_of())
    read_from, calls = SweepResults.ended, []
    monkeypatch.setattr(
        SweepResults, "ended", lambda *given, **more: calls.append(1) or read_from(*given, **more)
    )
    results.report(tmp_path / "page.html")
    assert len(calls) == 1


def test_long_lines_are_thinned_and_the_caption_says_so(page_of, monkeypatch):
    monkeypatch.setattr("raysweep.report.figures.POINTS", 400)
    root = page_of(spec_of(seeds=1), steps=tuple(range(1, 301)))
    for view in data(root)["curves"]["curves-0"].values():
        (columns,) = view["data"].values()
        assert columns[""] == [100]
        assert [columns["x"][index] for index in (0, 49, 50, 99)] == [1, 300, 1, 300]
    assert "thinned" in section(root, "figure-curves").text


def test_gaps_in_curves_are_gaps(page_of):
    def with_gap(final, step, last):
        row = curve(final, step, last)
        return {**row, "distance": float("nan")} if step == 20 else row

    (columns,) = data(page_of(curve=with_gap))["curves"]["curves-0"]["1"]["data"].values()
    assert set(columns["x"]) == {10, 30}


@pytest.mark.slow
def test_a_browser_draws_every_figure_and_complains_of_nothing(awkward, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium and no google-chrome here")
    options = "--headless=new --no-sandbox --enable-unsafe-swiftshader --enable-logging=stderr"
    more = ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path}", "--dump-dom"]
    done = subprocess.run(
        [browser, *options.split(), *more, awkward[1].as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    plots = re.findall(r'<div id="[a-z]+-\d+" class="([^"]*)"', done.stdout)
    assert len(plots) >= 10
    assert done.stdout.count('class="marks"') == len(plots)
    names = re.findall(r'data-title="([^"]*)" [^>]*aria-label="([^"]*)"', done.stdout)
    assert len(names) == len(plots)
    assert all(title == said for title, said in names)  # by a screen reader
    for symbol in re.findall(r'<[^>]*role="graphics-symbol"[^>]*>', done.stdout):
        assert "aria-label=" in symbol or 'aria-hidden="true"' in symbol
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert said == []

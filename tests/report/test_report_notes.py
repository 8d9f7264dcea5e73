"""Notes below the tables of a report."""

from figure_helpers import loss, spec_of, store_of
from report_page import read, rows


def test_many_notes_are_folded_but_the_first(tmp_path, monkeypatch):
    def ended(task, estimator, place, seed):
        return "failed" if seed else loss(task, estimator, place, seed)

    results = store_of(tmp_path, spec_of(), ended)
    whole = read(results.report(tmp_path / "page.html")).first("section", id="results")
    texts = [note.text for note in whole.first("ul", class_="notes").children]
    monkeypatch.setattr("raysweep.report.templates.MOST_NOTES", 1)
    cut = read(results.report(tmp_path / "page.html")).first("section", id="results")
    folded = cut.first("details", class_="more")
    assert cut.first("ul", class_="notes").text.strip() == texts[0]
    assert folded.first("summary").text == f"{len(texts) - 1} more notes"
    assert [note.text for note in folded.first("ul").children] == texts[1:]


def test_metrics_without_room_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.report.tables.MAX_CELLS", 4)
    root = read(store_of(tmp_path, spec_of()).report(tmp_path / "page.html"))
    assert "No room for 1 more metric: distance" in root.first("section", id="results").text


def test_settings_are_in_the_table_of_the_metric_that_selects_if_there_are_many(
    tmp_path, monkeypatch
):
    results = store_of(tmp_path, spec_of())
    heads = []
    for most in (1000, 1):
        monkeypatch.setattr("raysweep.report.configurations.MAX_SETTINGS", most)
        part = read(results.report(tmp_path / "page.html")).first("section", id="configurations")
        heads.append([rows(table)[0] for table in part.all("table")])
        text = part.text
    assert ["searched settings" in head for head in heads[0]] == [True, True, False]
    assert ["searched settings" in head for head in heads[1]] == [True, False, False]
    assert "settings by id: in the table of train_loss" in text

"""Notes below the tables of a report."""

from figure_helpers import loss, spec_of, store_of
from report_page import read


def test_many_notes_are_folded_but_the_first(tmp_path, monkeypatch):
    def ended(task, estimator, place, seed):
        return "failed" if seed else loss(task, estimator, place, seed)

    results = store_of(tmp_path, spec_of(), ended)
    whole = read(results.report(tmp_path / "page.html")).first("section", id="results")
    texts = [note.text for note in whole.first("ul", class_="notes").children]
    monkeypatch.setattr("raysweep.report.write.MOST_NOTES", 1)
    cut = read(results.report(tmp_path / "page.html")).first("section", id="results")
    folded = cut.first("details", class_="more")
    assert cut.first("ul", class_="notes").text.strip() == texts[0]
    assert folded.first("summary").text == f"{len(texts) - 1} more notes"
    assert [note.text for note in folded.first("ul").children] == texts[1:]


def test_metrics_without_room_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.report.tables.MAX_CELLS", 4)
    root = read(store_of(tmp_path, spec_of()).report(tmp_path / "page.html"))
    assert "No room for 1 more metric: distance" in root.first("section", id="results").text

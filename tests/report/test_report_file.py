"""The file of a report: where it is written, and the command that writes it."""

import pytest
from figure_helpers import spec_of, store_of
from report_page import read

from raysweep.cli.main import main
from raysweep.errors import SpecError


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("page.pdf", r"path: expected a name that ends in \.html, got '.*page\.pdf'"),
        ("nowhere/page.html", r"path: cannot write .*: the folder .* does not exist"),
        ("folder.html", "path: cannot write .*: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_is_told_in_one_line(tmp_path, out, told):
    results = store_of(tmp_path / "store", spec_of())
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(SpecError, match=told):
        results.report(tmp_path / out)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder.html", "store"]


def test_command_prints_the_file_it_wrote(tmp_path, capsys, monkeypatch):
    store_of(tmp_path / "sweeps", spec_of())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["report", "hand"])
    assert (caught.value.code, capsys.readouterr().out) == (0, "hand.html\n")
    assert read(tmp_path / "hand.html").first("h1").text == "hand"


def test_command_refuses_an_unknown_metric(tmp_path, capsys):
    store_of(tmp_path, spec_of())
    with pytest.raises(SystemExit) as caught:
        main(["report", "hand", "--store", str(tmp_path), "--select", "train_los"])
    assert caught.value.code == 2
    assert "did you mean 'train_loss'?" in capsys.readouterr().err

"""The report of a sweep whose rows are methods."""

from method_helpers import method_store
from report_page import read


def test_a_report_speaks_of_methods_alone(tmp_path):
    two = {"metric": ["train_loss", "distance"], "mode": ["min", "max"]}
    page = method_store(tmp_path, select=two).report(tmp_path / "page.html")
    text = page.read_text()
    assert "2 methods on 2 tasks, 3 seeds." in text
    assert "stimator" not in text
    legends = [one.attributes.get("aria-label", "") for one in read(page).all("div")]
    assert "Methods shown: Training curves" in legends


def test_one_method_is_not_plural(tmp_path):
    page = method_store(tmp_path, methods={"slow": {}}).report(tmp_path / "page.html")
    assert "1 method on 2 tasks, 3 seeds." in page.read_text()

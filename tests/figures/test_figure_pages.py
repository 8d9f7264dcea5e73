"""Pages of one figure, by `plot` and by a chart, and captions of `--all` on fresh seeds."""

import re

from chart_helpers import caption
from figure_helpers import spec_of, store_of

from raysweep.figures.kinds import save


def test_a_page_saved_by_a_chart_needs_no_network(hand, tmp_path):
    hand.plot().properties(background="pink").save(tmp_path / "figure.html")
    page = (tmp_path / "figure.html").read_text()
    assert "pink" in page
    assert not re.search(r'<script[^>]* src=|import\(?["\']https?:', page)


def test_a_page_of_a_figure_shows_errors_alone_in_the_console(hand, tmp_path):
    save(hand, "search", {}, tmp_path / "figure.html")
    assert "logLevel: 1" in (tmp_path / "figure.html").read_text()


def test_a_configuration_on_fresh_seeds_is_no_other_one_on_those_of_the_search(tmp_path):
    spec = spec_of(seeds={"search": 2, "report": 3})
    assert "faint: 2 other configurations" in caption(store_of(tmp_path, spec).plot(all=True))

"""Every output of a table has what its grid describes."""

import re
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from table_helpers import cell, markdown_cells, table_of

from raysweep.formats.aligned import lines
from raysweep.formats.grid import NONE, Cell, Grid, arrow_grid, plain, row
from raysweep.formats.markup import as_html, as_markdown
from raysweep.formats.tables import grids, median_grid
from raysweep.formats.text import as_text

GRID = Grid(
    "A <caption>",
    ("name", "value", "settings"),
    ((Cell("a|b"), Cell("1.0 ± 0.1", bold=True), Cell("lr <1>")), row(["c", None, "*"])),
    ("a <note>",),
    frozenset({1}),
    mark="the best",
)
# What every output shows: caption, cells with a star behind bold ones, and lines below.
SHOWN = (
    GRID.caption,
    [["name", "value", "settings"], ["a|b", "1.0 ± 0.1 *", "lr <1>"], ["c", NONE, "*"]],
    ["the best", "a <note>"],
)


def of_text(text):
    caption, empty, head, rule, *rows, mark, note = text.splitlines()
    assert (empty, rule) == ("", "-" * len(head))
    cells = [re.split(" {2,}", line) for line in (head, *rows)]
    return caption, cells, [mark.removeprefix("* "), note]


def of_markdown(text):
    caption, _, head, rule, *rows, _, mark, _, note = text.splitlines()
    assert rule == "| --- | ---: | --- |"
    marked = (re.sub(r"\*\*(.+)\*\*", r"\1 *", line) for line in (head, *rows))
    cells = [markdown_cells(line) for line in marked]
    below = [mark.removeprefix("Bold: ").removesuffix("."), note]
    return caption.replace("\\", ""), cells, [each.replace("\\", "") for each in below]


def of_html(text):
    found = ElementTree.fromstring(f"<div>{text}</div>")
    cells = [
        ["".join(each.itertext()) + " *" * (each.find("strong") is not None) for each in line]
        for line in found.iter("tr")
    ]
    mark, note = (each.text for each in found.findall("p"))
    below = [mark.removeprefix("Bold: ").removesuffix("."), note]
    return found.find("table/caption/span").text, cells, below


@pytest.mark.parametrize(
    ("output", "read"), [(as_text, of_text), (as_markdown, of_markdown), (as_html, of_html)]
)
def test_an_output_shows_the_grid(output, read):
    assert read(output([GRID])) == SHOWN


def test_columns_of_text_are_as_wide_as_a_terminal_shows_them():
    assert lines([["漢字", "n"], ["é", "10"], ["e\u0301x", ""]], {1}) == [
        "漢字   n",
        "é     10",
        "e\u0301x",
    ]


def test_columns_of_whole_numbers_are_numbers():
    grid = plain(["name", "count", "some"], [["a", 1, "2 of 3"], ["b", 20, 3]])
    assert as_text([grid]) == "name  count  some\na         1  2 of 3\nb        20  3\n"
    assert plain(["name"], []).numbers == frozenset()


def test_numbers_of_a_query_are_aligned_to_the_right():
    grid = arrow_grid(pa.table({"name": ["a", "b"], "loss": [30.8936, 0.248776], "n": [1, None]}))
    assert as_text([grid]) == "name      loss  n\na      30.8936  1\nb     0.248776\n"


def test_medians_have_no_marks_and_keep_words():
    table = table_of(cell("a", "A", [1.0, 2.0, 9.0]), cell("b", "A", [], "diverged"))
    grid = median_grid(table)
    assert grid.texts == [["estimator", "A"], ["a", "2.0000 (3)"], ["b", "diverged"]]
    assert grid.mark is None


def test_numbers_of_seeds_are_in_the_caption_or_in_the_cells():
    table = table_of(cell("a", "A", [1.0, 2.0, 3.0]))
    for counted in (True, False):
        (grid,) = grids(table, counted=counted)
        assert ("(3)" in grid.texts[1][1], "3 seeds" in grid.caption) == (counted, not counted)

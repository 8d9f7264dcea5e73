"""Tables in narrow terminals, and in encodings that lack their characters: nothing is cut."""

import io
import re

import pytest
from figure_helpers import loss, spec_of, store_of
from rich.console import Console
from table_helpers import cell, table_of

from raysweep.cli.main import main
from raysweep.formats.grid import Grid, row
from raysweep.formats.tables import grids
from raysweep.formats.text import Screen, as_text, print_table
from raysweep.results.table import Style

WIDE = table_of(*(cell(e, t, [1.0, 1.5, 2.5]) for e in ("first", "second") for t in "ABCD"))


def text(width, table=WIDE, encoding="utf-8"):
    return as_text(grids(table), Screen(width, encoding))


def heads(text):
    """The heads of the blocks of a text."""
    return [line.split() for line in text.splitlines() if line.startswith("estimator ")]


def test_without_a_limit_a_table_is_as_wide_as_it_is():
    assert heads(text(None)) == [["estimator", *"ABCD", "average", "rank"]]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_no_line_is_longer_than_the_limit(width):
    assert max(map(len, text(width).splitlines())) <= width


@pytest.mark.parametrize("width", [5, 30, 60, 80])
def test_names_and_numbers_are_never_cut(width):
    shown = text(width)
    assert {"first", "second"} <= set(shown.split())
    assert len(re.findall(r"1\.67 ± 0\.76", shown)) >= 8


@pytest.mark.parametrize(
    ("width", "counted", "columns"),
    [
        (113, True, [*"ABCD", "average", "rank"]),
        (100, False, [*"ABCD", "average", "rank"]),
        (80, False, [*"ABCD", "rank"]),
        (73, False, [*"ABCD"]),
    ],
)
def test_numbers_of_seeds_average_and_rank_leave_first(width, counted, columns):
    shown = text(width)
    assert heads(shown) == [["estimator", *columns]]
    assert ("(3)" in shown, "over 3 seeds" in " ".join(shown.split())) == (counted, not counted)


def test_an_average_that_was_asked_for_does_not_leave():
    table = table_of(*WIDE.cells, style=Style(average=True))
    assert "average" in text(80, table)


def test_still_wider_tables_are_blocks_with_names_of_their_own():
    assert heads(text(60)) == [
        ["estimator", "A", "B"],
        ["estimator", "C", "D"],
        ["estimator", "average", "rank"],
    ]


def test_no_column_is_in_a_block_of_its_own_if_blocks_can_be_even():
    head = ("arm", *"abcd")
    grid = Grid("", head, (row(["x", *["1" * 9] * 4]),))
    lines = as_text([grid], Screen(38)).splitlines()
    assert [line.split() for line in lines if line.startswith("arm")] == [
        ["arm", "a", "b"],
        ["arm", "c", "d"],
    ]


def test_blocks_are_filled_from_the_first_if_no_column_is_alone():
    grid = Grid("", ("arm", *"abcd"), (row(["x", "1" * 9, "1" * 9, "1" * 2, "1" * 2]),))
    lines = as_text([grid], Screen(26)).splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("arm")] == [
        ["a", "b"],
        ["c", "d"],
    ]


def test_blocks_have_one_caption_and_one_set_of_notes():
    shown = text(60)
    assert shown.startswith("hand: loss")
    assert (shown.count("hand: loss"), shown.count("\n* "), shown.count("rank: mean")) == (1, 1, 1)


def test_different_numbers_of_seeds_are_a_range_where_cells_have_no_room_for_them():
    cells = [cell("a", "A", [1.0, 2.0]), cell("a", "B", [1.0, 2.0, 4.0]), cell("b", "A", [1.0])]
    shown = " ".join(text(40, table_of(*cells)).split())
    assert "mean ± std over 1 to 3 seeds" in shown


def test_columns_that_name_a_row_are_in_every_block():
    grid = Grid("", ("task", "arm", "one", "two"), (row(["t", "a", "1" * 9, "2" * 9]),), keys=2)
    assert as_text([grid], Screen(20)).splitlines() == [
        "task  arm  one",
        "t     a    111111111",
        "",
        "task  arm  two",
        "t     a    222222222",
    ]


LONG = "lr 0.001, temperature 1.325, momentum 0.9"


def test_a_long_text_breaks_between_words():
    head, rows = ("arm", "settings", "n"), (row(["a", LONG, 1]), row(["b", "lr 1", 22]))
    grid = Grid("", head, rows, numbers=frozenset({2}), long=frozenset({1}))
    assert as_text([grid], Screen(45)).splitlines() == [
        "arm  settings                       n",
        "a    lr 0.001, temperature 1.325,   1",
        "     momentum 0.9",
        "b    lr 1                          22",
    ]
    assert as_text([grid]).splitlines()[1] == f"a    {LONG}   1"


def test_a_long_text_breaks_within_a_block_where_the_table_has_several():
    rows = (row(["a", "1" * 20, LONG]),)
    grid = Grid("", ("arm", "one", "settings"), rows, long=frozenset({2}))
    shown = as_text([grid], Screen(30)).splitlines()
    assert [line for line in shown if line.startswith("arm")] == ["arm  one", "arm  settings"]
    assert max(map(len, shown)) <= 30
    assert " ".join(" ".join(shown[4:]).split()).endswith(LONG)


NAME = "an estimator with a long name"


def test_names_of_rows_that_leave_little_room_break_between_words():
    grid = Grid("", ("arm", "one", "two"), (row([NAME, "1" * 9, "2" * 9]), row(["b", "3", "4"])))
    assert as_text([grid], Screen(46)).splitlines() == [
        "arm                       one        two",
        "an estimator with a long  111111111  222222222",
        "name",
        "b                         3          4",
    ]


def test_names_of_rows_that_leave_half_of_the_width_stay_in_one_line():
    grid = Grid("", ("arm", "one", "two"), (row([NAME, "1" * 20, "2" * 20]),))
    shown = as_text([grid], Screen(62))
    assert shown.count(NAME) == 2
    assert max(map(len, shown.splitlines())) <= 62


def test_a_word_of_a_long_text_is_never_cut():
    grid = Grid("", ("arm", "text"), (row(["a", "x" * 40]),), long=frozenset({1}))
    assert "x" * 40 in as_text([grid], Screen(20))


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_a_narrow_terminal_cuts_nothing(width):
    out = io.StringIO()
    print_table(WIDE, Console(file=out, force_terminal=True, width=width))
    shown = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert "…" not in shown
    assert len(re.findall(r"1\.67 ± 0\.76", shown)) >= 8
    assert max(map(len, shown.splitlines())) <= width


def test_numbers_are_aligned_to_the_right_in_a_terminal():
    out = io.StringIO()
    print_table(WIDE, Console(file=out, force_terminal=True, width=200))
    shown = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    heads, _, *rows = (
        line for line in shown.splitlines() if re.match(r" (esti|──|first|second)", line)
    )
    ends = [[match.end() for match in re.finditer(r"\S+", line)] for line in (heads, *rows)]
    assert ends[0][-1] == ends[1][-1] == ends[2][-1]
    assert ends[0][1] == rows[0].index(")") + 1 == rows[1].index(")") + 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_an_encoding_lacks_are_ascii_in_aligned_columns(encoding):
    table = table_of(cell("a", "A", [1.0, 2.0]), cell("τ", "A", [3.0, 4.0]))
    shown = text(None, table, encoding)
    assert shown.encode(encoding)
    rows = shown.splitlines()[4:6]
    assert len({row.index("(2)") for row in rows}) == 1
    assert rows[1].startswith("\\u03c4")


@pytest.fixture
def hand(tmp_path):
    store_of(tmp_path, spec_of(), loss)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["table", "hand"],
        ["stats", "hand"],
        ["status", "hand"],
        ["sql", "hand", "select * from planned"],
    ],
    ids=lambda command: command[0],
)
def test_commands_keep_to_the_columns_of_the_environment(hand, command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    with pytest.raises(SystemExit):
        main([*command, "--store", str(hand)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, [line for line in lines if "/" not in line])) <= 50


def test_a_pipe_without_columns_has_no_limit(hand, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    with pytest.raises(SystemExit):
        main(["sql", "hand", "select * from planned", "--store", str(hand)])
    assert len(capsys.readouterr().out.splitlines()) == 1 + 18

"""Text from elsewhere, made safe for terminals, CSV, Markdown and the store."""

import io
import json

import pytest

from raysweep.text import (
    MAX_ERROR,
    csv_text,
    make_lenient,
    markdown_text,
    one_line,
    printable,
    recorded,
)

EVIL = "a\x1b]0;title\x07b\rc\x9bd\u202ee\x00f\u2066g\udc80h"


def test_control_characters_are_shown_as_escapes():
    shown = printable(EVIL)
    assert shown == "a\\x1b]0;title\\x07b\\x0dc\\u009bd\\u202ee\\x00f\\u2066g\\udc80h"
    shown.encode()


def test_lines_and_tabs_stay_unless_one_line_is_wanted():
    assert printable("a\tb\nc") == "a\tb\nc"
    assert one_line("a\tb\nc") == "a\\tb\\nc"


def test_ordinary_text_stays_as_it_is():
    text = "ST · digits 4×8 — ± 0.1 ≥ é 漢字 👩‍💻 "
    assert one_line(text) == text
    assert recorded(text) == text.strip()


def test_json_keeps_its_meaning():
    value = {"label": EVIL}
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value


def test_an_error_is_recorded_as_one_line_of_text_with_a_coding():
    assert recorded("bad \udc80\n  name") == "bad \\udc80 name"


def test_a_long_error_is_cut_and_says_so():
    text = recorded("x" * 3_000_000)
    assert len(text) == MAX_ERROR
    assert text.endswith("xx… (cut, 3000000 characters)")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/c calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\r=x"])
def test_a_formula_in_csv_stands_behind_an_apostrophe(text):
    assert csv_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "-inf", "ST", "a=b", "", "{}"])
def test_numbers_and_other_texts_in_csv_stay(text):
    assert csv_text(text) == text


def test_markdown_shows_markup_as_text():
    text = "<script>|`x`|[a](b)*\\\n"
    assert markdown_text(text) == "\\<script>\\|\\`x\\`\\|\\[a\\](b)\\*\\\\\\\\n"


def test_a_terminal_without_a_character_gets_a_stand_in():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_lenient(stream)
    stream.write("0.5 ± 0.1 ≥ 漢")
    stream.flush()
    assert raw.getvalue() == b"0.5 +/- 0.1 >= \\u6f22"

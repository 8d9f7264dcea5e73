"""The text of a stream of server-sent events as events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.client.events import events, lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: 1\n\n", [("message", 1)]),
        ("event: end\ndata: 1\n\n", [("end", 1)]),
        ("event:end\r\ndata:1\r\n\r\n", [("end", 1)]),
        (": ping\n\ndata: 1\n\n: ping\n\n", [("message", 1)]),
        ("data: [1,\ndata: 2]\n\n", [("message", [1, 2])]),
        ("event: a\n\ndata: 1\n\n", [("message", 1)]),
        ("id: 7\nretry: 10\ndata: 1\n\n", [("message", 1)]),
        ("data: 1\n", []),
        ("", []),
    ],
)
def test_events_have_a_name_and_data(text, expected):
    assert list(events(lines([text]))) == expected


@given(st.text(), st.integers(1, 7))
def test_parts_of_a_text_give_its_lines(text, size):
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    whole = [line.removesuffix("\r") for line in text.split("\n")[:-1]]
    assert list(lines(parts)) == whole


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_letters_that_end_lines_elsewhere_are_part_of_the_data(letter):
    text = f'data: "a{letter}b"\n\n'
    if letter < " ":
        text = text.replace(letter, json.dumps(letter)[1:-1])
    assert list(events(lines([text]))) == [("message", f"a{letter}b")]

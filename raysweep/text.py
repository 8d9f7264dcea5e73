"""Text for terminals and files: counts and durations, and text from elsewhere, made safe.

A run's error, or a label in a store from others, may hold anything: escape sequences that a
terminal obeys, marks that turn the direction of writing, formulas that a spreadsheet computes.
"""

import codecs
import io
import re
from collections.abc import Mapping
from typing import Any

MAX_ERROR = 4000  # characters of an error that are kept
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line end, DEL, C1
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # direction and line marks
    "\ud800-\udfff]"  # halves of characters
)
_LINE = re.compile("[\t\n]")
FORMULA = r"^[=+\-@\t\r]"  # as spreadsheets, and Arrow's regular expressions, take it
NUMBER = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+|inf|nan)([eE][+-]?[0-9]+)?$"
_MARKUP = re.compile(r"([\\`*\[\]|]|<(?=[A-Za-z/!?]))")  # of <, tags but no comparisons
_STAND_INS = {
    "±": "+/-",
    "≥": ">=",
    "≤": "<=",
    "×": "x",
    "·": "-",
    "–": "-",
    "−": "-",
    "…": "...",
    "→": "->",
}


def counted(number: int, noun: str = "run") -> str:
    """The number of some things, with their noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A duration as a user reads it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def printable(text: str) -> str:
    """The text with its control characters shown as escapes; lines and tabs stay.

    The escapes of what JSON leaves as it is are JSON's own, so JSON keeps its meaning.
    """
    return _CONTROL.sub(_escape, text)


def one_line(text: str) -> str:
    """The text with all its control characters shown as escapes, ends of lines too."""
    return _LINE.sub(lambda found: "\\t" if found[0] == "\t" else "\\n", printable(text))


def recorded(text: str, longest: int = MAX_ERROR) -> str:
    """An error's text as a store keeps it: one line, not too long, and text that has a coding."""
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    if len(line) <= longest:
        return line
    cut = f"… (cut, {len(line)} characters)"
    return line[: longest - len(cut)] + cut


def shown_error(text: str | None) -> str:
    """An error as a line of output: an older store may hold one of megabytes."""
    return one_line(recorded(text or "no text"))


def csv_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: behind an apostrophe if it would be one."""
    return f"'{text}" if re.match(FORMULA, text) and not re.fullmatch(NUMBER, text) else text


def csv_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose texts are cells of CSV; numbers stay what they are."""
    return {
        name: csv_text(value) if isinstance(value, str) else value for name, value in record.items()
    }


def markdown_text(text: str) -> str:
    """The text as Markdown shows it, in a table's cell too: no markup, no HTML, no link."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x20 or code == 0x7F else f"\\u{code:04x}"


def stand_in(error: UnicodeError) -> tuple[str, int]:
    """What to write for characters that a terminal's coding lacks: ASCII that means the same."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    text = "".join(
        _STAND_INS.get(each) or each.encode("ascii", "backslashreplace").decode()
        for each in lacking
    )
    return text, error.end


def make_lenient(stream: Any) -> None:
    """Has a text stream write stand-ins for what its coding lacks, where it can be told so."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("raysweep", stand_in)
        stream.reconfigure(errors="raysweep")

"""Text for terminals and files: counts, durations, and text from elsewhere made safe.

The error of a run, or a label in another user's store, may hold escape sequences for terminals,
marks that change the direction of writing, and formulas for spreadsheets.
"""

import codecs
import io
import re
from collections.abc import Mapping
from typing import Any

MAX_ERROR = 4000  # characters of an error that are kept
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # direction and line marks
    "\ud800-\udfff]"  # lone surrogates
)
_LINE = re.compile("[\t\n]")
FORMULA = r"^[=+\-@\t\r]"  # for spreadsheets, and in the syntax of Arrow's regular expressions
NUMBER = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+|inf|nan)([eE][+-]?[0-9]+)?$"
_MARKUP = re.compile(r"([\\`*\[\]|]|<(?=[A-Za-z/!?]))")  # < only in tags, not in comparisons
_REPLACEMENTS = {
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


def counted(number: int, noun: str = "run", plural: str = "") -> str:
    """Return a number with its noun; the plural has an s unless another is given."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Return a duration in hours, minutes or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """Return an estimated duration: from ten minutes without seconds, from ten hours in hours."""
    if seconds < 600:
        return duration(seconds)
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 10:
        return f"{round(seconds / 3600)} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def printable(text: str) -> str:
    """Return the text with control characters as escapes; newlines and tabs stay.

    Characters that JSON may hold unescaped get JSON's own escapes, so JSON keeps its meaning.
    """
    return _CONTROL.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the text with all control characters as escapes, including newlines and tabs."""
    return _LINE.sub(lambda match: "\\t" if match[0] == "\t" else "\\n", printable(text))


def recorded(text: str, longest: int = MAX_ERROR) -> str:
    """Return an error's text for the store: one line, of limited length, and valid UTF-8."""
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    if len(line) <= longest:
        return line
    cut = f"… (cut, {len(line)} characters)"
    return line[: longest - len(cut)] + cut


def tail(text: str, longest: int) -> str:
    """Return the text, or the end of a longer one, from the start of a line, after a note."""
    if len(text) <= longest:
        return text
    note = f"… (the first of {len(text)} characters are left out)\n"
    end = text[len(text) - longest + len(note) :]
    return note + (end.partition("\n")[2] or end)


def shown_error(text: str | None) -> str:
    """Return an error as one line of output; older stores may hold texts of megabytes."""
    return one_line(recorded(text or "no text"))


def csv_text(text: str) -> str:
    """Return the text of a CSV cell, after an apostrophe if spreadsheets would see a formula."""
    return f"'{text}" if re.match(FORMULA, text) and not re.fullmatch(NUMBER, text) else text


def csv_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its texts as cells of CSV; other values stay unchanged."""
    return {
        name: csv_text(value) if isinstance(value, str) else value for name, value in record.items()
    }


def markdown_text(text: str) -> str:
    """Return the text escaped for Markdown, also in tables: no markup, no HTML, no link."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x20 or code == 0x7F else f"\\u{code:04x}"


def replacement(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII of the same meaning for characters that a terminal's encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    text = "".join(
        _REPLACEMENTS.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in missing
    )
    return text, error.end


def encodable(text: str, encoding: str) -> str:
    """Return the text with ASCII of the same meaning for characters that an encoding lacks."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        codecs.register_error("raysweep", replacement)
        return text.encode(encoding, "raysweep").decode(encoding)
    except LookupError:  # a name that Python does not know
        return text
    return text


def make_lenient(stream: Any) -> None:
    """Let a text stream replace characters that its encoding lacks, if it can be configured."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("raysweep", replacement)
        stream.reconfigure(errors="raysweep")

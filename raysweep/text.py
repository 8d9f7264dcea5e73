"""Text for terminals and files: counts, durations, and text from elsewhere made safe.

The error of a run, or a label in another user's store, may hold escape sequences for terminals,
marks that change the direction of writing, and formulas for spreadsheets.
"""

import codecs
import io
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

MAX_ERROR = 4000  # characters of an error that are kept
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # direction and line marks
    "\ud800-\udfff]"  # lone surrogates
)
_ENTRY = re.compile(r"\s*- |\s+\w+: ")  # of a list, or of arguments, in a docstring
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


def again_command(condition: str, *, with_code: bool = False) -> str:
    """Return how to train the runs that meet a condition in SQL again, as a command and in Python.

    Args:
        condition: Condition on the columns of the runs.
        with_code: Whether the command needs the file of the user's code.
    """
    command = "raysweep run FILE --code PATH --again" if with_code else "raysweep run FILE --again"
    return f'{command} "{condition}" (in Python, again= of raysweep.run)'


def some(names: Collection[str], most: int = 3) -> str:
    """Return the first names of several in one text, and the number of the others."""
    first, others = list(names)[:most], len(names) - most
    return ", ".join(first) + (f" and {others} more" if others > 0 else "")


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


def filled(text: str, width: int | None) -> str:
    """Return a docstring whose paragraphs fill lines of a width, if any line of it is wider."""
    lines = text.splitlines()
    if width is None or max(map(len, lines), default=0) <= width:
        return text
    paragraphs: list[list[str]] = []
    for line in lines:
        if paragraphs and _continues(paragraphs[-1], line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return "\n".join(_filled(paragraph, width) for paragraph in paragraphs)


def _continues(paragraph: Sequence[str], line: str) -> bool:
    """Return whether a line of a docstring continues a paragraph.

    It does not after an empty line or a colon, and if it begins an entry of a list or of arguments;
    nor after a full stop within a section, such as the references.
    """
    first, last = paragraph[0], paragraph[-1]
    if not line.strip() or not first.strip() or last.endswith(":") or _ENTRY.match(line):
        return False
    if _indentation(line) != _indentation(first):
        return len(_indentation(line)) > len(_indentation(first))
    return not _indentation(line) or not last.endswith(".")


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _filled(lines: Sequence[str], width: int) -> str:
    """Return a paragraph in lines of a width, those after the first indented as the second one."""
    start = _indentation(lines[0])
    hanging = start + "    " if start else start + "  " * lines[0].startswith("- ")
    return textwrap.fill(
        " ".join(line.strip() for line in lines),
        width,
        initial_indent=start,
        subsequent_indent=_indentation(lines[1]) if len(lines) > 1 else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


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

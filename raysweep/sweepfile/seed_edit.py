"""A sweep file with more seeds: only its key `seeds` changes; comments and layout stay."""

import re

from raysweep.errors import SpecError
from raysweep.sweepfile.document import read
from raysweep.sweepfile.reader import read_text

_KEY = re.compile(r"^seeds[ \t]*:", re.MULTILINE)
_NEXT = re.compile(r"^(?![ \t#}\])\-]|$)", re.MULTILINE)  # begin of the next top-level key


def with_seeds(text: str, seeds: int, file: str) -> str:
    """Return the text of a sweep file with a larger number of seeds.

    `seeds: 3` becomes `seeds: N`, to a list the next whole numbers are added, and of
    `{search: 3, report: 10}` the fresh seeds become N.

    Args:
        text: Text of the file.
        seeds: Number of seeds of each configuration, or of its fresh ones.
        file: Name of the file for messages.

    Raises:
        SpecError: If the file is wrong, or has as many seeds already.
    """
    spec = read_text(text, file)
    present = len(spec.report_seeds or spec.seeds)
    if seeds <= present:
        raise SpecError(f"expected more than the present {present}, got {seeds}", field="seeds")
    given = read(text, file).plain().get("seeds")
    if isinstance(given, list):
        first = max(spec.seeds) + 1
        value = f"[{', '.join(map(str, (*given, *range(first, first + seeds - present))))}]"
    elif isinstance(given, dict) and spec.report_seeds:
        value = f"{{search: {_flow(given['search'])}, report: {seeds}}}"
    else:
        value = str(seeds)
    return _replaced(text, value)


def _flow(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _replaced(text: str, value: str) -> str:
    """Return the text with another value of the key `seeds`, which is added if it is missing."""
    key = _KEY.search(text)
    if key is None:
        return f"{text.rstrip()}\nseeds: {value}\n"
    rest = text[key.end() :]
    line_end = rest.find("\n")
    if line_end < 0:
        return f"{text[: key.end()]} {value}\n"
    following = _NEXT.search(rest, line_end + 1)
    comment = re.search(r"[ \t]+#.*", rest[:line_end])
    end = following.start() if following else len(rest)
    block = rest[line_end + 1 : end]
    kept = re.search(r"(?:^[ \t]*(?:#.*)?\n)*\Z", block, re.MULTILINE)  # comments of the next key
    tail = kept[0] if kept else ""
    return f"{text[: key.end()]} {value}{comment[0] if comment else ''}\n{tail}{rest[end:]}"

"""Files whose content is not what raysweep wrote: how they are reported, and what to do."""

from typing import TYPE_CHECKING

from raysweep.errors import DamagedFile

if TYPE_CHECKING:
    pass

_ASIDE = "run the sweep file again: it sets the file aside, below damaged/, and "
_ADVICE = {
    "runs": f"{_ASIDE}trains its runs anew",
    "curves": f"{_ASIDE}says how to train its runs anew",
    "attempts": f"{_ASIDE}goes on without it",
    "decisions": f"{_ASIDE}goes on without it",
    "checkpoints": f"{_ASIDE}trains the pack anew",
    "merging": f"{_ASIDE}keeps every row that another file holds",
    "removing": f"{_ASIDE}keeps the runs that are still there",
    "spec.json": "run the sweep file again, which writes it anew",
    "again.json": f"{_ASIDE}forgets which configurations were to be trained anew",
    "search.json": f"{_ASIDE}continues the search from its results",
}
_BUFFER = "Could not open Parquet input source '<Buffer>': "  # of all files the same
_ELSE = "restore the file from a copy, or run the sweep file again"


def damaged(path: str, name: str, reason: str) -> DamagedFile:
    """The error for a file whose content is wrong.

    Args:
        path: Address of the file.
        name: Name of the file below the sweep's folder.
        reason: Sentence that says what was expected, and what was found.
    """
    advice = _ADVICE.get(name.partition("/")[0], _ELSE)
    return DamagedFile(f"cannot read {path}: {reason}; {advice}", name, reason)


def reason_of(error: BaseException) -> str:
    """One short line that says why content could not be read."""
    lines = str(error).removeprefix(_BUFFER).splitlines()
    text = lines[0] if lines and lines[0].strip() else type(error).__name__
    if isinstance(error, KeyError):
        text = f"no {text}"
    return text[:200]

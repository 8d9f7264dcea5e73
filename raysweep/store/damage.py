"""Errors for files whose content is not what raysweep wrote, with advice."""

from raysweep.errors import DamagedFile
from raysweep.store import sweep_paths

_MOVE = "run the sweep file again: it moves the file to damaged/ and "
_ADVICE = {
    "runs": f"{_MOVE}trains its runs again",
    "curves": f"{_MOVE}says how to train its runs again",
    "attempts": f"{_MOVE}continues without it",
    "decisions": f"{_MOVE}continues without it",
    "checkpoints": f"{_MOVE}trains the pack from its start",
    "merging": f"{_MOVE}keeps every row that another file holds",
    "removing": f"{_MOVE}keeps the runs that have not been removed yet",
    sweep_paths.SPEC: "run the sweep file again, which rewrites it",
    sweep_paths.AGAIN: f"{_MOVE}no longer knows which configurations to train again",
    sweep_paths.SEARCH: f"{_MOVE}continues the search from its results",
    sweep_paths.PACK_SIZES: f"{_MOVE}measures sizes of packs again",
}
_BUFFER = "Could not open Parquet input source '<Buffer>': "  # says nothing about the file
_OTHER = "restore the file from a copy, or run the sweep file again"


def damaged(path: str, name: str, reason: str) -> DamagedFile:
    """Return the error for a file whose content is wrong.

    Args:
        path: Address of the file.
        name: Name of the file below the sweep's folder.
        reason: Sentence that says what was expected and what was found.
    """
    advice = _ADVICE.get(name.partition("/")[0], _OTHER)
    return DamagedFile(f"cannot read {path}: {reason}; {advice}", name, reason)


def reason_of(error: BaseException) -> str:
    """Return one short line that says why content could not be read."""
    lines = str(error).removeprefix(_BUFFER).splitlines()
    text = lines[0] if lines and lines[0].strip() else type(error).__name__
    if isinstance(error, KeyError):
        text = f"no {text}"
    return text[:200]

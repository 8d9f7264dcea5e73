"""Text of a sweep file from its path, or from its content as a mapping."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.errors import SpecError
from raysweep.sweepfile.document import dump_plain
from raysweep.sweepfile.mapping import plain_data


def text_of(source: str | Path | Mapping[str, Any]) -> tuple[str, str]:
    """Return the text of a sweep file, and its name for messages.

    Args:
        source: Path of the file, or its content as a mapping.

    Raises:
        SpecError: If the file cannot be read, or a value has no place in a sweep file.
    """
    if isinstance(source, Mapping):
        return dump_plain(plain_data(source)), "sweep"
    file = str(source)
    try:
        return Path(source).read_text(encoding="utf-8"), file
    except FileNotFoundError as error:
        hint = "; give a sweep file, not the name of a sweep" if not Path(file).suffix else ""
        raise SpecError(f"{file}: no such file{hint}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SpecError(f"{file}: cannot read the sweep file: {reason}") from error

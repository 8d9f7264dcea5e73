"""The errors a user meets; each message is one line that says what to do.

RaysweepError
├── SpecError        the sweep file, an option or a name is wrong
├── StoreError       the store cannot be read or written
│   ├── LeaseHeld    another driver runs this sweep
│   ├── LeaseLost    this driver may no longer write
│   ├── DamagedFile  a file's content is not what raysweep wrote
│   └── FormatTooNew a later raysweep wrote the sweep
├── ClusterError     Ray cannot give what the sweep asks for
└── TooManyFailures  more runs failed than the sweep file allows
"""

import difflib
from collections.abc import Iterable


class RaysweepError(Exception):
    """Base of all errors that raysweep explains to its user.

    Args:
        text: One line: what was expected, what was given, what to do.
        field: The argument that is wrong, whose name the message begins with; the command line
            has an option of that name.
    """

    def __init__(self, text: str = "", *, field: str | None = None) -> None:
        self.text, self.field = text, field
        super().__init__(f"{field}: {text}" if field else text)


class SpecError(RaysweepError, ValueError):
    """Something the user wrote is wrong; `problems` holds one line per mistake.

    Args:
        problems: One line, or one for each mistake.
        field: The argument that is wrong, where there is one mistake.
    """

    def __init__(self, problems: str | Iterable[str], *, field: str | None = None) -> None:
        lines = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(lines), field=field)
        self.problems = lines if field is None else [str(self)]


class StoreError(RaysweepError):
    """The store cannot be read or written."""


class LeaseHeld(StoreError):
    """Another live driver holds the sweep."""


class LeaseLost(StoreError):
    """The sweep is no longer this driver's: taken over, deleted, or out of reach for too long."""


class DamagedFile(StoreError):
    """A file could be read, but holds something else than raysweep wrote.

    Args:
        message: One line that names the file and says what to do.
        name: The file's name below the sweep's folder.
        reason: What was expected and found, as it stands in the message.
    """

    def __init__(self, message: str, name: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.name, self.reason = name, reason or message


class FormatTooNew(StoreError):
    """The sweep has a format that only a later raysweep reads."""


class ClusterError(RaysweepError):
    """Ray or its nodes cannot give what the sweep asks for."""


class TooManyFailures(RaysweepError):
    """More runs failed than the sweep file allows."""


MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory")


def is_memory_error(error: BaseException) -> bool:
    """Whether memory ran out: Python's, the machine's or a device's, as torch reports it."""
    return isinstance(error, MemoryError) or any(
        text in str(error).lower() for text in MEMORY_TEXTS
    )


class Stopped(KeyboardInterrupt):
    """A signal ended the session before anything trained."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Text that helps after an unknown name: the closest valid one, and all of them if few."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names) if len(names) <= 40 else f"{len(names)} names"
    return f"{hint} (known: {listed})" if names else hint

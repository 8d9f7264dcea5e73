"""Output of the code of runs, printed and logged, kept for `raysweep logs`."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from raysweep.store.pack_log import LIMIT
from raysweep.text import tail


class Output:
    """Last part of what is printed to stdout and stderr, or logged, while it is captured.

    The text still goes where it would go otherwise. Output of child processes and of libraries
    that bypass `sys.stdout` is not seen.
    """

    def __init__(self) -> None:
        self.text = ""
        self.is_new = False  # whether there is text that has not been taken

    def add(self, text: str) -> None:
        """Add text."""
        if text:
            # A program may print one character at a time: cut seldom.
            self.text += text
            self.is_new = True
            if len(self.text) > 2 * LIMIT:
                self.text = tail(self.text, LIMIT)

    def take(self) -> str:
        """Return the text, which is no longer new."""
        self.is_new = False
        self.text = tail(self.text, LIMIT)
        return self.text

    @contextlib.contextmanager
    def captured(self) -> Iterator[None]:
        """Keep a copy of what is printed and logged."""
        printed = sys.stdout, sys.stderr
        handler = _Records(self)
        sys.stdout, sys.stderr = _Copy(sys.stdout, self), _Copy(sys.stderr, self)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            sys.stdout, sys.stderr = printed


class _Copy:
    """Text stream that also adds what is written to an output.

    Args:
        stream: Stream to write to.
        output: Output that the text is added to.
    """

    def __init__(self, stream: TextIO, output: Output) -> None:
        self._stream, self._output = stream, output

    def write(self, text: str) -> int:
        """Write text."""
        self._output.add(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write each text."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Records(logging.Handler):
    """Handler that adds records of `logging` to an output.

    A handler of the user that writes to stderr is copied anyway; and without any handler Python
    prints warnings to stderr, which this one does in its stead.

    Args:
        output: Output that records are added to.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record."""
        others = [handler for handler in logging.getLogger().handlers if handler is not self]
        if any(isinstance(getattr(other, "stream", None), _Copy) for other in others):
            return
        line = f"{self.format(record)}\n"
        if others or record.levelno < logging.WARNING:
            self._output.add(line)
        else:
            sys.stderr.write(line)

"""Live progress of a session: a panel in a terminal, plain lines elsewhere."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.live import Live

from raysweep.progress.view import View as View
from raysweep.scheduling.scheduler import Schedule
from raysweep.text import one_line

LINE_S = 10.0


class Progress:
    """Display of a schedule's progress.

    Args:
        console: Console to write to; stderr if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    def say(self, lines: Iterable[str]) -> None:
        """Show lines that stay on the screen."""
        for line in lines:
            self._print(line)

    @contextlib.contextmanager
    def watching(self, schedule: Schedule) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Show the schedule's progress; yield a function to call with the progress of a pack."""
        view = View(schedule)
        if self.console.is_terminal:
            with Live(
                get_renderable=view.panel,
                console=self.console,
                refresh_per_second=4,
                transient=True,
            ):
                yield view.note
            return
        self._line(view)
        ended = threading.Event()

        def lines() -> None:
            while not ended.wait(LINE_S):  # by the clock, as a pack that hangs reports nothing
                self._line(view)

        writer = threading.Thread(target=lines, name="raysweep-progress", daemon=True)
        writer.start()
        try:
            yield view.note
        finally:
            ended.set()
            writer.join()
        self._line(view)

    def _line(self, view: "View") -> None:
        self._print(view.line())

    def _print(self, line: str) -> None:
        self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)

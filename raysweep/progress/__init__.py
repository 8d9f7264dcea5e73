"""Live progress of a session: a panel in a terminal or notebook, plain lines elsewhere."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.live import Live

from raysweep.progress.notebook import Output
from raysweep.progress.view import View as View
from raysweep.scheduling.scheduler import Schedule
from raysweep.text import one_line

LINE_S = 10.0
PANEL_S = 1.0


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
        if self.console.is_jupyter:
            output = Output()
            with _repeated(lambda: output.show(view.panel()), PANEL_S):
                yield view.note
            output.show(view.line())
            return
        with _repeated(lambda: self._line(view), LINE_S):
            yield view.note
        self._line(view)

    def _line(self, view: "View") -> None:
        self._print(view.line())

    def _print(self, line: str) -> None:
        self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def _repeated(show: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call a function at once, and then again whenever some seconds have passed."""
    show()
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(seconds):  # by the clock, as a pack that hangs reports nothing
            show()

    thread = threading.Thread(target=loop, name="raysweep-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""Live progress of a session: a panel in a terminal or notebook, plain lines elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from raysweep.progress.notebook import WIDTH as NOTEBOOK_WIDTH
from raysweep.progress.notebook import Output
from raysweep.progress.panel import Panel as Panel
from raysweep.progress.view import View as View
from raysweep.text import one_line

if TYPE_CHECKING:
    from raysweep.scheduling.scheduler import Schedule

LINE_S = 10.0
PANEL_S = 1.0
NOTEBOOK_HEIGHT = 40
PAUSES = ((120.0, 1), (900.0, 3), (7200.0, 6))  # until which second, in units of `LINE_S`
LATER = 30


def pause_s(elapsed_s: float) -> float:
    """Return the seconds until the next line, which grow from ten seconds to five minutes.

    Args:
        elapsed_s: Seconds since the first line.
    """
    return LINE_S * next((units for until, units in PAUSES if elapsed_s < until), LATER)


class Shown(Protocol):
    """State of a progress that can be shown."""

    def line(self) -> str:
        """Return the progress as one line."""

    def end(self) -> str:
        """Return the line at the end."""


class Rendered(Protocol):
    """Panel of a progress in a terminal or notebook."""

    notice: str

    def render(self, width: int, height: int) -> RenderableType:
        """Return the panel for a terminal of so many columns and rows."""


class Display:
    """Display of a progress.

    Args:
        console: Console to write to; stderr if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._panel: Rendered | None = None

    def say(self, lines: Iterable[str]) -> None:
        """Show lines that stay on the screen."""
        for line in lines:
            self._print(line)

    def shows(self, line: str) -> bool:
        """Show a line in the live panel, for as long as there is one; return whether there is."""
        if self._panel is None:
            return False
        self._panel.notice = line
        return True

    @contextlib.contextmanager
    def showing(self, view: Shown, panel: Rendered) -> Iterator[None]:
        """Show a progress until the end, and then the line of its end."""
        if self.console.is_terminal:
            with self._live(panel):
                yield
            self._print(view.end())
            return
        if self.console.is_jupyter:
            output = Output()

            def show() -> None:
                output.show(panel.render(NOTEBOOK_WIDTH, NOTEBOOK_HEIGHT))

            with _repeated(show, lambda _: PANEL_S):
                yield
            output.show(view.end())
            return
        lines = [""]  # the last one

        def show_line() -> None:
            lines[0] = view.line()
            self._print(lines[0])

        with _repeated(show_line, pause_s):
            yield
        end = view.end()
        if end != lines[0]:
            self._print(end)

    @contextlib.contextmanager
    def _live(self, panel: Rendered) -> Iterator[None]:
        """Draw a panel until the end, and then remove it."""
        self._panel = panel
        try:
            with Live(
                get_renderable=lambda: panel.render(*self.console.size),
                console=self.console,
                refresh_per_second=4,
                transient=True,
            ):
                yield
        finally:
            self._panel = None

    def _print(self, line: str) -> None:
        self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)


class Progress(Display):
    """Display of a schedule's progress."""

    @contextlib.contextmanager
    def watching(self, schedule: "Schedule") -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Show the schedule's progress; yield a function to call with the progress of a pack."""
        view = View(schedule)
        with self.showing(view, Panel(view)):
            yield view.note


@contextlib.contextmanager
def _repeated(show: Callable[[], None], pause: Callable[[float], float]) -> Iterator[None]:
    """Call a function at once, and then again after each pause.

    Args:
        show: Function to call.
        pause: Function from the seconds since the first call to those until the next.
    """
    show()
    ended = threading.Event()
    began = time.monotonic()

    def loop() -> None:
        # By the clock, as a pack that hangs reports nothing.
        while not ended.wait(pause(time.monotonic() - began)):
            show()

    thread = threading.Thread(target=loop, name="raysweep-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

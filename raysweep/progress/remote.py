"""Progress of a sweep that another machine trains, by the states that its service sends."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raysweep.progress import Display
from raysweep.progress.panel import BAR, MAX_ARMS, MAX_PACKS
from raysweep.progress.view import steps_text, with_share
from raysweep.sweep.outcomes import ENDS
from raysweep.text import about, counted, duration, one_line

State = Mapping[str, Any]


class RemoteView:
    """State of the progress of a sweep that a service trains.

    Args:
        state: First state that the service sent.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self.state, self.clock = state, clock
        self._began = clock()

    def note(self, state: State) -> None:
        """Note the next state."""
        self.state = state

    @property
    def ended(self) -> int:
        """Number of planned runs that ended."""
        return sum(self.state["runs"][end] for end in ENDS)

    @property
    def share(self) -> float:
        """Share of the runs that is done, with those of packs in training; 0 if not known."""
        planned = self.state["runs"]["planned"]
        if not planned:
            return 0.0
        parts = (
            pack["runs"] * pack["step"] / pack["steps"]
            for pack in self.state["packs"]
            if pack["steps"]
        )
        return min(1.0, (self.ended + sum(parts)) / planned)

    def line(self) -> str:
        """Return the progress as one line."""
        return ", ".join(filter(None, [self.head(), self._steps(), *self.trouble(), self.left()]))

    def end(self) -> str:
        """Return the line at the end."""
        took = (
            f" in {duration(self.clock() - self._began)}" if self.state["state"] == "done" else ""
        )
        return ", ".join([f"{self._runs()}{took}", *self._failed()])

    def head(self) -> str:
        """Return the number of runs that ended, and the share of the work that is done."""
        if self.state["state"] == "queued":
            why = self.state["problem"]
            return f"{self._runs()}, queued" + (f" ({one_line(why)})" if why else "")
        return with_share(self._runs(), 100 * self.share)

    def left(self) -> str:
        """Return the time that the sweep still takes, if it is known."""
        seconds = self.state["left_s"]
        return f"about {about(seconds)} left" if seconds else ""

    def trouble(self) -> list[str]:
        """Return notes on runs that failed, and on packs that may hang."""
        silent = [
            f"no step of pack {pack_id} for {duration(seconds)}"
            for pack_id, seconds in self.state["silent_s"].items()
        ]
        return [*self._failed(), *silent[:1]]

    def _failed(self) -> list[str]:
        failed = self.state["runs"]["failed"]
        return [f"{failed} failed"] if failed else []

    def _runs(self) -> str:
        planned = self.state["runs"]["planned"]
        if planned is None:
            return counted(self.ended)
        return f"{self.ended} of {counted(planned)}"

    def _steps(self) -> str:
        if self.state["state"] != "running":
            return ""
        packs = self.state["packs"]
        return steps_text(len(packs), [pack for pack in packs if pack["steps"]])


class RemotePanel:
    """Panel of the progress in a terminal: the line, a bar, the arms and the packs.

    Args:
        view: State of the progress.
    """

    def __init__(self, view: RemoteView) -> None:
        self.view = view
        self.notice = ""

    def render(self, width: int, height: int) -> RenderableType:
        """Return the panel for a terminal of so many columns and rows."""
        view, state = self.view, self.view.state
        head = ", ".join(filter(None, [view.head(), view.left()]))
        lines = [Text(head, style="bold")]
        if notes := list(filter(None, [*view.trouble(), self.notice])):
            lines.append(Text(", ".join(notes)))
        grid = Table.grid()  # a bar alone does not end its line
        grid.add_row(ProgressBar(total=1.0, completed=view.share, width=min(width, BAR)))
        packs = state["packs"][:MAX_PACKS]
        room = max(1, min(MAX_ARMS, height - len(lines) - len(packs) - 5))
        arms = [[arm["arm"], *(str(arm[end]) for end in ENDS)] for arm in state["arms"]]
        parts: list[RenderableType] = [*lines, grid, _table(["arm", *ENDS], arms[:room])]
        if (more := len(arms) - room) > 0:
            parts.append(Text(f"and {counted(more, 'more arm')}", style="dim"))
        if packs:
            parts.append(_table(["pack", "runs", "step", "last loss"], list(map(_pack, packs))))
        return Group(*parts)


def _pack(pack: Mapping[str, Any]) -> list[str]:
    step = f"{pack['step']:,} of {pack['steps']:,}" if pack["steps"] else "starting"
    value = "–" if pack["value"] is None else f"{pack['metric']} {pack['value']:.5g}"
    return [pack["pack_id"], str(pack["runs"]), step, value]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, head in enumerate(heads):
        table.add_column(Text(head), no_wrap=True, overflow="ellipsis" if index == 0 else "fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


class RemoteProgress(Display):
    """Display of the progress of a sweep that a service trains."""

    @contextlib.contextmanager
    def following(self, state: State) -> Iterator[Callable[[State], None]]:
        """Show the progress from a state on; yield a function to call with the next ones."""
        view = RemoteView(state)
        with self.showing(view, RemotePanel(view)):
            yield view.note

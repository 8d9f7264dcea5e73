"""Live progress of a session: a panel in a terminal, plain lines elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.scheduler import Schedule
from raysweep.store.pauses import Pauses
from raysweep.text import counted, duration, one_line

LINE_S = 10.0
MAX_ARMS = 24


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


class View:
    """State of the progress display.

    Args:
        schedule: The schedule of the session.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = time.monotonic) -> None:
        self.schedule, self.clock = schedule, clock
        self.pauses: dict[str, Pauses] = {}
        self.began = clock()
        self.before = self._ended()
        self.packs: dict[str, float] = {}

    def note(self, progress: Mapping[str, Any]) -> None:
        """Note that a pack started, or the step it has reached."""
        pack_id, now = progress["pack_id"], self.clock()
        if "began" in progress:
            self.pauses[pack_id] = Pauses(now)
            return
        self.pauses.setdefault(pack_id, Pauses(now)).note(progress["step"], now)
        self.packs[progress["pack_id"]] = progress["step"] / max(1, progress["steps"])

    @property
    def total(self) -> int:
        """Number of runs of the sweep, with those that its searches have yet to add."""
        return len(self.schedule.planned) + self.schedule.to_come

    def line(self) -> str:
        """Return the progress as one line."""
        ended = self._ended()
        workers = self.schedule.size.workers if self.schedule.size else 0
        training = min(len(self.schedule.in_flight), workers)
        failed = sum(
            1 for run_id in list(self.schedule.planned) if self._status(run_id) == "failed"
        )
        text = f"{ended}/{counted(self.total)}, {counted(training, 'pack')} in training"
        if failed:
            text += f", {failed} failed"
        text += self._silent()
        rate = self._rate()
        if rate > 0:
            text += f", {60 * rate:.0f} runs/min"
            if ended < self.total:
                text += f", {duration(self._left(rate))} left"
        return text

    def _silent(self) -> str:
        """Return a note on packs that may hang: the longest without a step, and how many more."""
        now = self.clock()
        silent = [
            (seconds, pack_id)
            for pack_id in list(self.schedule.in_flight)
            if pack_id in self.pauses
            and (seconds := self.pauses[pack_id].silent_s(now)) is not None
        ]
        if not silent:
            return ""
        seconds, pack_id = max(silent)
        more = f" (and of {len(silent) - 1} more)" if len(silent) > 1 else ""
        return f", no step of pack {pack_id} for {duration(seconds)}{more}"

    def panel(self) -> Group:
        """Return the line, a bar, and the best value so far of each arm."""
        bar = Table.grid()
        bar.add_row(
            ProgressBar(
                total=max(1, self.total), completed=self._ended() + self._partial(), width=72
            )
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        metric = self.schedule.spec.select.metric
        for title in ("arm", "configurations", f"best {metric}"):
            table.add_column(title, no_wrap=True)
        for search in self.schedule.arms[:MAX_ARMS]:
            table.add_row(*(Text(one_line(text)) for text in self._arm(search)))
        more = len(self.schedule.arms) - MAX_ARMS
        rest = [Text(f"and {more} more arms", style="dim")] if more > 0 else []
        return Group(Text(self.line(), style="bold"), bar, table, *rest)

    def _arm(self, search: ArmSearch) -> tuple[str, str, str]:
        results = list(search.closed.values())
        values = [result.values[0] for result in results if result.values]
        best = min if self.schedule.spec.select.mode == "min" else max
        shown = f"{best(values):.4g}" if values else "–"
        return search.arm.name, f"{len(search.closed)}/{self._wanted(search)}", shown

    def _wanted(self, search: ArmSearch) -> int:
        return search.study.wanted or len(search.open) + len(search.closed)

    def _status(self, run_id: str) -> str | None:
        result = self.schedule.ended.get(run_id)
        return result.status if result else None

    def _ended(self) -> int:
        return len(self.schedule.planned) - self.schedule.missing

    def _partial(self) -> float:
        """Return the work done in packs in flight, as a number of runs."""
        return sum(
            self.packs.get(pack.pack_id, 0.0) * len(pack.runs)
            for pack in list(self.schedule.in_flight.values())
        )

    def _rate(self) -> float:
        """Return the runs per second of this session; packs in flight count by their steps."""
        worked = self._ended() - self.before + self._partial()
        return worked / max(1e-9, self.clock() - self.began)

    def _left(self, rate: float) -> float:
        return max(0.0, self.total - self._ended() - self._partial()) / rate

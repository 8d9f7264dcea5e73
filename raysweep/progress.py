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
from raysweep.text import duration, one_line

LINE_S = 10.0
MAX_ARMS = 24


class Progress:
    """Shows a schedule's progress on stderr.

    Args:
        console: Where to; stderr if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    def say(self, lines: Iterable[str]) -> None:
        """Shows lines that remain."""
        for line in lines:
            self._print(line)

    @contextlib.contextmanager
    def watching(self, schedule: Schedule) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Shows the schedule until left; yields what to call with a pack's progress."""
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
            while not ended.wait(LINE_S):  # by the clock: a pack that hangs reports nothing
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
    """What there is to show.

    Args:
        schedule: The schedule of the session.
        clock: Seconds that only grow.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = time.monotonic) -> None:
        self.schedule, self.clock = schedule, clock
        self.pauses: dict[str, Pauses] = {}
        self.began = clock()
        self.before = self._ended()
        self.packs: dict[str, float] = {}

    def note(self, progress: Mapping[str, Any]) -> None:
        """Takes in that a pack began, or how far it has come."""
        pack_id, now = progress["pack_id"], self.clock()
        if "began" in progress:
            self.pauses[pack_id] = Pauses(now)
            return
        self.pauses.setdefault(pack_id, Pauses(now)).note(progress["step"], now)
        self.packs[progress["pack_id"]] = progress["step"] / max(1, progress["steps"])

    @property
    def total(self) -> int:
        """Runs of the sweep; those that its searches will propose and report, too."""
        return len(self.schedule.planned) + self.schedule.to_come

    def line(self) -> str:
        """One plain line."""
        ended = self._ended()
        workers = self.schedule.size.workers if self.schedule.size else 0
        training = min(len(self.schedule.in_flight), workers)
        failed = sum(
            1 for run_id in list(self.schedule.planned) if self._status(run_id) == "failed"
        )
        text = f"{ended}/{self.total} runs, {training} packs in training"
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
        """The packs that may hang: the one that does for longest, and how many more."""
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
        """The line, a bar, and the best value so far of each arm."""
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
        for state in self.schedule.arms[:MAX_ARMS]:
            table.add_row(*(Text(one_line(each)) for each in self._arm(state)))
        more = len(self.schedule.arms) - MAX_ARMS
        rest = [Text(f"and {more} more arms", style="dim")] if more > 0 else []
        return Group(Text(self.line(), style="bold"), bar, table, *rest)

    def _arm(self, state: ArmSearch) -> tuple[str, str, str]:
        values = [each.values[0] for each in list(state.closed.values()) if each.values]
        best = min if self.schedule.spec.select.mode == "min" else max
        shown = f"{best(values):.4g}" if values else "–"
        return state.arm.name, f"{len(state.closed)}/{self._wanted(state)}", shown

    def _wanted(self, state: ArmSearch) -> int:
        return state.study.wanted or len(state.open) + len(state.closed)

    def _status(self, run_id: str) -> str | None:
        ended = self.schedule.ended.get(run_id)
        return ended.status if ended else None

    def _ended(self) -> int:
        return len(self.schedule.planned) - self.schedule.missing

    def _partial(self) -> float:
        """Runs' worth of work in packs in flight."""
        return sum(
            self.packs.get(pack.pack_id, 0.0) * len(pack.runs)
            for pack in list(self.schedule.in_flight.values())
        )

    def _rate(self) -> float:
        """Runs per second of this session, packs in flight counted by their steps."""
        worked = self._ended() - self.before + self._partial()
        return worked / max(1e-9, self.clock() - self.began)

    def _left(self, rate: float) -> float:
        return max(0.0, self.total - self._ended() - self._partial()) / rate

"""State of the progress display: the line, the bar, the arms and the packs in training."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raysweep.progress.time_left import TimeLeft
from raysweep.scheduling.arm_search import ArmSearch
from raysweep.scheduling.scheduler import Schedule
from raysweep.store.pauses import Pauses
from raysweep.text import counted, duration, one_line

MAX_ARMS = 24
MAX_PACKS = 8


class View:
    """State of the progress display.

    Args:
        schedule: The schedule of the session.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = time.monotonic) -> None:
        self.schedule, self.clock = schedule, clock
        self.pauses: dict[str, Pauses] = {}
        self.time_left = TimeLeft(schedule, clock)
        self.before = self._ended()
        self.packs: dict[str, Mapping[str, Any]] = {}  # last progress, by pack

    def note(self, progress: Mapping[str, Any]) -> None:
        """Note that a pack started, or the step it has reached."""
        pack_id, now = progress["pack_id"], self.clock()
        self.time_left.note(progress)
        if "began" in progress:
            self.pauses[pack_id] = Pauses(now)
            return
        self.pauses.setdefault(pack_id, Pauses(now)).note(progress["step"], now)
        self.packs[progress["pack_id"]] = progress

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
        if (rate := self._rate()) > 0:
            text += f", {60 * rate:.0f} runs/min"
        if ended < self.total:
            left = self.time_left.seconds
            text += f", {'–' if left is None else duration(left)} left"
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
        return Group(Text(self.line(), style="bold"), bar, table, *rest, self._packs())

    def _packs(self) -> Table:
        """Return the packs in training, with their step and their last loss."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        packs = [
            pack for pack in list(self.schedule.in_flight.values()) if pack.pack_id in self.packs
        ]
        for title in ("pack", "arm", "step", "last loss") if packs else ():
            table.add_column(title, no_wrap=True)
        for pack in packs[:MAX_PACKS]:
            progress = self.packs[pack.pack_id]
            arm = f"{pack.arm[1]} · {pack.arm[0]} ({counted(len(pack.runs))})"
            step = f"{progress['step']:,} of {progress['steps']:,}"
            table.add_row(pack.pack_id, Text(one_line(arm)), step, loss_text(progress))
        return table

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
            progress["step"] / max(1, progress["steps"]) * len(pack.runs)
            for pack in list(self.schedule.in_flight.values())
            if (progress := self.packs.get(pack.pack_id)) is not None
        )

    def _rate(self) -> float:
        """Return the runs per second since the first pack; packs in flight count by their steps."""
        began = self.time_left.began
        elapsed = 0.0 if began is None else self.clock() - began
        worked = self._ended() - self.before + self._partial()
        return worked / elapsed if elapsed > 0 else 0.0


def loss_text(progress: Mapping[str, Any]) -> str:
    """Return the first metric of a pack's last report: its mean over the runs."""
    if progress.get("value") is None:
        return "–"
    return f"{progress['metric']} {progress['value']:.5g}"

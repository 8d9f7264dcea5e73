"""State of the progress display, and its line."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raysweep.progress.time_left import TimeLeft
from raysweep.progress.work import Work
from raysweep.store.pauses import Pauses
from raysweep.sweep.packs import Pack
from raysweep.text import about, counted, duration

if TYPE_CHECKING:
    from raysweep.scheduling.scheduler import Schedule


class View:
    """State of the progress display.

    Args:
        schedule: The schedule of the session.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, schedule: "Schedule", clock: Callable[[], float] = time.monotonic) -> None:
        self.schedule, self.clock = schedule, clock
        self.pauses: dict[str, Pauses] = {}
        self.time_left = TimeLeft(schedule, clock)
        self.work = Work(schedule)
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

    def line(self) -> str:
        """Return the progress as one line."""
        return ", ".join(filter(None, [self.head(), self._steps(), *self.trouble(), self.left()]))

    def end(self) -> str:
        """Return the line at the end of the session."""
        ended, total, began = self.work.tally.ended, self.schedule.total, self.time_left.began
        took = "" if began is None else f" in {duration(self.clock() - began)}"
        finished = took if ended == total.runs else ""
        return ", ".join([f"{total.after(ended)}{finished}", *self.failed()])

    def head(self) -> str:
        """Return the number of runs that ended, and the share of the work that is done."""
        text = self.schedule.total.after(self.work.tally.ended)
        # Without a bound of the number of runs, no share of them is known.
        known = self.schedule.total.runs is not None
        share = 100 * self.work.share(self.packs) if known else 0.0
        return with_share(text, share)

    def left(self) -> str:
        """Return the time that the session still takes, the fewer digits the longer it is."""
        total = self.schedule.total.runs
        if total is None or self.work.tally.ended == total:
            return ""
        seconds = self.time_left.seconds
        return "" if seconds is None else f"about {about(seconds)} left"

    def trouble(self) -> list[str]:
        """Return notes on runs that failed, and on packs that may hang."""
        return [*self.failed(), *self._silent()]

    def failed(self) -> list[str]:
        """Return a note on runs that failed; none if there are none."""
        failed = self.work.tally.failed
        return [f"{failed} failed"] if failed else []

    def training(self) -> list[Pack]:
        """Return the packs in training; of more packs than workers, those with a step."""
        packs = list(self.schedule.in_flight.values())
        workers = self.schedule.size.workers if self.schedule.size else len(packs)
        packs.sort(key=lambda pack: pack.pack_id not in self.packs)
        return packs[:workers]

    def _steps(self) -> str:
        """Return the number of packs in training, with the lowest and highest step of them."""
        packs = self.training()
        reached = [self.packs[pack.pack_id] for pack in packs if pack.pack_id in self.packs]
        return steps_text(len(packs), reached)

    def _silent(self) -> list[str]:
        """Return a note on packs that may hang: the longest without a step, and how many more."""
        now = self.clock()
        silent = [
            (seconds, pack_id)
            for pack_id in list(self.schedule.in_flight)
            if pack_id in self.pauses
            and (seconds := self.pauses[pack_id].silent_s(now)) is not None
        ]
        if not silent:
            return []
        seconds, pack_id = max(silent)
        more = f" (and of {len(silent) - 1} more)" if len(silent) > 1 else ""
        return [f"no step of pack {pack_id} for {duration(seconds)}{more}"]


def with_share(text: str, share: float) -> str:
    """Return the number of ended runs with the share of the work that is done.

    Args:
        text: Number of ended runs.
        share: Per cent of the work; 0 if it is not known.
    """
    shown = str(int(share)) if share >= 10 else f"{int(10 * share) / 10:g}"
    return f"{text}, {shown} % of the work" if share else text


def steps_text(packs: int, reached: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of packs in training, with the lowest and highest step of them.

    Args:
        packs: Number of packs in training.
        reached: Of packs with a step, the `step` and the number of `steps`.
    """
    text = counted(packs, "pack")
    if not reached:
        return f"{text} in training" if packs else ""
    ends = sorted({progress["step"] for progress in reached})
    lengths = {progress["steps"] for progress in reached}
    noun = "step" if len(ends) == 1 else "steps"
    span = "–".join(f"{step:,}" for step in dict.fromkeys((ends[0], ends[-1])))
    if len(lengths) == 1:
        return f"{text} at {noun} {span} of {lengths.pop():,}"
    shares = sorted(int(100 * one["step"] / max(1, one["steps"])) for one in reached)
    span = "–".join(f"{share}" for share in dict.fromkeys((shares[0], shares[-1])))
    return f"{text} at {span} % of their steps"

"""State of a sweep, as a service sends it: its numbers of runs, and what is wrong, as text."""

from collections.abc import Mapping
from typing import Any

from raysweep.text import counted

State = Mapping[str, Any]
ENDS = ("done", "diverged", "stopped", "failed")


def ended(state: State) -> int:
    """Return the number of planned runs that ended."""
    return sum(state["runs"][end] for end in ENDS)


def ended_text(runs: Mapping[str, int | None]) -> str:
    """Return the number of ended runs, and of planned ones if it is known."""
    count = sum(runs[end] or 0 for end in ENDS)
    return str(count) if runs["planned"] is None else f"{count} of {runs['planned']}"


def missing(state: State) -> int:
    """Return the number of planned runs that have not ended; 0 if it is not known."""
    planned = state["runs"]["planned"]
    return 0 if planned is None else max(0, planned - ended(state))


def problem(state: State) -> str:
    """Return why a sweep failed, as its driver said."""
    return str(state["problem"]).removeprefix("raysweep: ") or f"{state['name']} failed"


def errors(state: State) -> list[str]:
    """Return a line for each of the most frequent errors, with the number of runs that have it."""
    lines = []
    for failure in state["failures"]:
        run, count = failure["run_id"], failure["runs"]
        runs = f"run {run}" if count == 1 else f"{count} runs, such as {run},"
        lines.append(f"{runs} failed: {failure['error']}")
    return lines


def reports(state: State) -> list[str]:
    """Return lines on what failed or is missing after the end of a session."""
    lines = errors(state)
    if count := missing(state):
        lines.append(f"{counted(count)} of {state['name']} still missing")
    return lines

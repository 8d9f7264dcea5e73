"""Sweeps that were stopped in training, without Ray."""

import contextlib

from raysweep.driver import session
from raysweep.engine import inline, work


class Lines:
    """A display that keeps the lines.

    Args:
        note: Function that is called with the progress of packs.
    """

    def __init__(self, note=lambda progress: None):
        self.lines, self.note = [], note

    def say(self, lines):
        self.lines += lines

    def shows(self, line):
        return False

    @contextlib.contextmanager
    def watching(self, schedule):
        yield self.note


def drive(tmp_path, sweep, display=None, **options):
    """Run a session of a sweep without Ray."""
    return session.drive(
        session.load(sweep),
        store=tmp_path,
        data=None,
        address=None,
        inline=True,
        progress=display,
        **options,
    )


def stopped(monkeypatch, tmp_path, sweep, reports):
    """Run a session, and stop it after so many reports of a step of a pack; return the session.

    Args:
        monkeypatch: Pytest's, whose changes are undone.
        tmp_path: Store of the sweep.
        sweep: The sweep file as a mapping; a checkpoint is written at every report.
        reports: Number of reports.
    """
    with monkeypatch.context() as patch:
        patch.setattr(work, "SLICE_S", 0.0)  # a report after every step
        real = inline.run_inline

        def run(schedule, job, stopping, watch, **more):
            seen = []

            def note(progress):
                seen.append(progress)
                watch(progress)

            real(schedule, job, lambda: len(seen) > reports or stopping(), note, **more)

        patch.setattr(inline, "run_inline", run)
        return drive(tmp_path, sweep, Lines())

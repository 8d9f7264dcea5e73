"""Driver of a submitted sweep, as a process of its own: `python -m raysweep.service.drive`.

From its exit code the service knows how to continue: 0 and 1 as those of `raysweep run`, 2 if the
sweep cannot run as it is, `TRY_AGAIN` if the store or the cluster failed.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from raysweep.code.files import added
from raysweep.driver import session as engine
from raysweep.errors import LeaseHeld, RaysweepError, SpecError, Stopped
from raysweep.formats.failed_runs import error_lines
from raysweep.progress import Progress
from raysweep.service.submissions import Submissions, spec_of
from raysweep.store.files import Files
from raysweep.text import counted, one_line

TRY_AGAIN = 75
LEASE_S = 90.0  # for which a driver waits for the end of the one before


def main() -> int:
    """Train the missing runs of a submitted sweep, and return the exit code."""
    parser = argparse.ArgumentParser()
    for name in ("store", "sweep"):
        parser.add_argument(name)
    parser.add_argument("--data")
    parser.add_argument("--code", action="append", default=[], type=Path)
    arguments = parser.parse_args()
    try:
        return _drive(arguments)
    except SpecError as error:
        return _say(error.problems, 2)
    except RaysweepError as error:
        return _say([str(error)], TRY_AGAIN)
    except KeyboardInterrupt as error:
        return error.exit_code if isinstance(error, Stopped) else 130


def _drive(arguments: argparse.Namespace) -> int:
    submission = Submissions(Files(arguments.store)).read(arguments.sweep)
    if submission is None:
        raise SpecError(f"expected a submitted sweep, got {arguments.sweep!r}")
    with added(arguments.code) as code:
        spec = spec_of(arguments.sweep, submission.text)
        began = time.monotonic()
        while True:
            try:
                session = engine.drive(
                    spec,
                    store=arguments.store,
                    data=arguments.data,
                    address=os.environ.get("RAY_ADDRESS", "auto"),
                    inline=False,
                    progress=Progress(),
                    retry_failed=submission.retry_failed,
                    code=code,
                )
            except LeaseHeld:
                if time.monotonic() - began > LEASE_S:
                    raise
                time.sleep(1.0)
            else:
                break
    lines = [*error_lines(session.failed), *session.blocked]
    if session.failed:
        lines.append(f"{counted(len(session.failed))} failed")
    return _say(lines, session.exit_code)


def _say(lines: list[str], code: int) -> int:
    for line in lines:
        sys.stderr.write(f"raysweep: {one_line(line)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Driver of a submitted sweep without Ray, as a process: `python inline_driver.py STORE SWEEP`."""

import sys

from raysweep.driver import session
from raysweep.errors import Stopped
from raysweep.service.submissions import FILE, Submissions
from raysweep.store.files import Files
from raysweep.sweepfile.reader import read_text


def main(store, sweep):
    """Train the sweep's missing runs; the exit code is that of `raysweep run`."""
    submission = Submissions(Files(store)).read(sweep)
    spec = read_text(submission.text, FILE)
    try:
        return session.drive(
            spec, store=store, data=None, address=None, inline=True, progress=None
        ).exit_code
    except KeyboardInterrupt as error:
        return error.exit_code if isinstance(error, Stopped) else 130


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

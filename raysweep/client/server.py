"""Service as its users see it from Python: submit sweeps, and open their results."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.client import credentials
from raysweep.client.connection import Connection
from raysweep.client.results import RemoteResults
from raysweep.client.shown import RemoteSweeps, RemoteTable
from raysweep.client.states import problem, reports
from raysweep.client.watch import in_notebook
from raysweep.errors import SpecError
from raysweep.text import one_line

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raysweep.results.labels import TableOptions

Source = str | Path | Mapping[str, Any]
CANNOT_RUN = 2  # exit code of a session whose sweep cannot run as it is

log = logging.getLogger("raysweep")


class Server:
    """Service that trains sweeps and answers questions about them; see `raysweep serve`.

    Args:
        url: Address of the service; `$RAYSWEEP_SERVER`, or the only one with a saved token, if
            None.
        token: Token of the user; `$RAYSWEEP_TOKEN`, or the saved one, if None.
        connection: Connection to use instead of a new one, e.g. with another transport.

    Raises:
        SpecError: If there is no such address, or the token cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        connection: Connection | None = None,
    ) -> None:
        self.connection = connection or Connection(url or credentials.default_server(), token)

    @property
    def url(self) -> str:
        """Address of the service."""
        return self.connection.url

    def me(self) -> dict[str, str]:
        """Return the name and the role of the user.

        Raises:
            ServerError: If the service cannot be reached, or does not know the token.
        """
        user: dict[str, str] = self.connection.data("me")
        return user

    def check(
        self, spec: Source, *, changes: Sequence[str] = (), smoke: bool = False
    ) -> dict[str, Any]:
        """Check a sweep file; nothing is stored.

        Args:
            spec: Path of a sweep file, or its content as a mapping.
            changes: `KEY=VALUE` texts that override dotted keys of the file.
            smoke: Whether only a short version would be trained, for a test.

        Returns:
            `name`, `planned` (number of runs, None where only a budget ends the search), `arms`
            and `exists` (whether the service has a sweep of this name).

        Raises:
            SpecError: If the sweep file is wrong.
            ServerError: If the service cannot be reached, or refuses the user.
        """
        checked: dict[str, Any] = self._post("sweeps/check", spec, changes, smoke=smoke)
        return checked

    def submit(
        self,
        spec: Source,
        *,
        changes: Sequence[str] = (),
        smoke: bool = False,
        priority: int = 0,
    ) -> RemoteResults:
        """Submit a sweep, or more of it, and return at once.

        Args:
            spec: Path of a sweep file, or its content as a mapping; the file of an existing sweep
                continues that sweep.
            changes: `KEY=VALUE` texts that override dotted keys of the file.
            smoke: Train only a few steps of one configuration per arm, as a sweep `NAME-smoke`.
            priority: Sweeps of higher priority start first; more than 0 needs an admin.

        Raises:
            SpecError: If the sweep file is wrong.
            LeaseHeld: If the sweep runs or waits already.
            ServerError: If the service cannot be reached, or refuses the user.
        """
        sweep = self._post("sweeps", spec, changes, smoke=smoke, priority=priority)
        return RemoteResults(self.connection, sweep["name"])

    def run(
        self,
        spec: Source,
        *,
        changes: Sequence[str] = (),
        smoke: bool = False,
        priority: int = 0,
        wait: bool = True,
        quiet: bool | None = None,
    ) -> RemoteResults:
        """Train the missing runs of a sweep, and return its results.

        If this program is interrupted while it waits, the sweep continues.

        Args:
            spec: Path of a sweep file, or its content as a mapping.
            changes: `KEY=VALUE` texts that override dotted keys of the file.
            smoke: Train only a few steps of one configuration per arm, as a sweep `NAME-smoke`.
            priority: Sweeps of higher priority start first; more than 0 needs an admin.
            wait: Whether to wait until the sweep no longer runs.
            quiet: Whether to hide the progress; if None, it is shown in notebooks only.

        Raises:
            SpecError: If the sweep file is wrong, or the sweep cannot run as it is.
            LeaseHeld: If the sweep runs or waits already.
            ServerError: If the service cannot be reached, or refuses the user.
            KeyboardInterrupt: If this program was interrupted.
        """
        results = self.submit(spec, changes=changes, smoke=smoke, priority=priority)
        if not wait:
            return results
        try:
            state = results.wait(quiet=not in_notebook() if quiet is None else quiet)
        except KeyboardInterrupt:
            log.warning("%s continues on %s; results.cancel() stops it", results.sweep, self.url)
            raise
        if state["exit_code"] == CANNOT_RUN:
            raise SpecError(problem(state))
        for line in reports(state):
            log.warning("%s", one_line(line))
        return results

    def open(self, sweep: str) -> RemoteResults:
        """Open the results of a sweep.

        Raises:
            SpecError: If the service has no such sweep.
            ServerError: If the service cannot be reached, or refuses the user.
        """
        results = RemoteResults(self.connection, sweep)
        results.status()
        return results

    def ls(
        self,
        *,
        tags: str | Sequence[str] = (),
        states: str | Sequence[str] = (),
        owner: str | None = None,
        search: str | None = None,
    ) -> RemoteSweeps:
        """Return the sweeps of the service as plain data, the last submitted first.

        Args:
            tags: Tags that a sweep must have.
            states: States of which a sweep must have one.
            owner: User who submitted it.
            search: Text in its name or description.

        Raises:
            ServerError: If the service cannot be reached, or refuses the user.
        """
        wanted = [tags] if isinstance(tags, str) else list(tags)
        states = [states] if isinstance(states, str) else list(states)
        sweeps = self.connection.data(
            "sweeps", tag=wanted, state=states, owner=owner, search=search
        )
        return RemoteSweeps(sweeps)

    def compare(self, *sweeps: str, **options: "Unpack[TableOptions]") -> RemoteTable:
        """Return one result table of several sweeps, whose rows begin with the name of their sweep.

        Args:
            sweeps: Names of one or more sweeps.
            options: Arguments of `RemoteResults.table`.

        Raises:
            SpecError: If the sweeps select or report by different metrics, or as
                `RemoteResults.table` does.
            ServerError: If the service cannot be reached, or refuses the user.
        """
        return RemoteTable(self.connection, "compare", {"sweep": list(sweeps), **options})

    def _post(
        self, path: str, spec: Source, changes: Sequence[str], **options: Any
    ) -> dict[str, Any]:
        """Send a sweep file, and return the answer."""
        from raysweep.sweepfile.source import text_of

        text, file = text_of(spec)
        given = {**options, "set": list(changes)}
        answer = self.connection.send("POST", path, given, content=text, file=file)
        data: dict[str, Any] = answer.json()
        return data

    def __repr__(self) -> str:
        """Return the call that connects to the service."""
        return f"raysweep.connect({self.url!r})"


def connect(url: str | None = None, token: str | None = None) -> Server:
    """Connect to a service, which trains sweeps and answers questions about them.

    Args:
        url: Address of the service; `$RAYSWEEP_SERVER`, or the only one with a saved token, if
            None.
        token: Token of the user; `$RAYSWEEP_TOKEN`, or the saved one, if None.

    Raises:
        SpecError: If there is no such address, or the token cannot be one.
        ServerError: If the service cannot be reached, or does not know the token.
    """
    server = Server(url, token)
    server.me()
    return server

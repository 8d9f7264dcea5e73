"""The parts of a running service, which its pages and its HTTP interface use."""

import contextlib
import dataclasses
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from raysweep.errors import LeaseHeld, LeaseLost, SpecError, StoreError
from raysweep.service.access.audit import AuditLog
from raysweep.service.access.tokens import FOLDER, Tokens, make_private
from raysweep.service.catalogue import Catalogue
from raysweep.service.config import Config
from raysweep.service.metrics import Metrics
from raysweep.service.notify import Notifier
from raysweep.service.submissions import Submissions
from raysweep.service.supervisor import Jobs, Supervisor
from raysweep.service.sweeps import Sweeps
from raysweep.store.files import Files
from raysweep.store.lease import Lease
from raysweep.store.submission import Submission

SECRET = "session-key"
KEY_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Service:
    """The parts of a running service.

    Args:
        config: Settings of the service.
        store: The store with the sweeps.
        catalogue: The sweeps in memory.
        jobs: Jobs on the cluster.
        supervisor: Supervision of the drivers.
        sweeps: What users do with sweeps.
        tokens: Tokens of the users.
        audit: Log of what users did.
        metrics: Numbers of the service.
        notifier: Sender of messages about ends of sweeps.
        secret: Key that signs the cookies of sessions.
    """

    config: Config
    store: Files
    catalogue: Catalogue
    jobs: Jobs
    supervisor: Supervisor
    sweeps: Sweeps
    tokens: Tokens
    audit: AuditLog
    metrics: Metrics
    notifier: Notifier
    secret: str


def assemble(config: Config, jobs: Jobs) -> Service:
    """Return the parts of a service; nothing is started.

    Args:
        config: Settings of the service.
        jobs: Jobs on the cluster.

    Raises:
        SpecError: If a URL for messages is of no known kind.
        StoreError: If the store cannot be reached.
    """
    store = Files(config.store)
    catalogue, submissions = Catalogue(store), Submissions(store)

    def command(sweep: str) -> Sequence[str]:
        data = ["--data", _absolute(config.data)] if config.data else []
        code = [part for path in config.code for part in ("--code", _absolute(path))]
        return [sys.executable, "-m", "raysweep.service.drive", store.uri, sweep, *data, *code]

    supervisor = Supervisor(catalogue, submissions, jobs, command, config.limits)
    sweeps = Sweeps(config, catalogue, submissions, supervisor.wake)
    metrics = Metrics(catalogue)
    notifier = Notifier(
        config.notify, config.url, lambda outcome: metrics.notifications.labels(outcome).inc()
    )

    def ended(sweep: str, submission: Submission) -> None:
        metrics.ends.labels(submission.events[-1].action).inc()
        notifier.ended(sweep, submission)

    supervisor.on_end = ended
    return Service(
        config,
        store,
        catalogue,
        jobs,
        supervisor,
        sweeps,
        Tokens(store),
        AuditLog(store),
        metrics,
        notifier,
        _secret(store),
    )


@contextlib.contextmanager
def running(service: Service) -> Iterator[None]:
    """Supervise the drivers of a store, which must be held."""
    service.supervisor.start()
    try:
        yield
    finally:
        service.supervisor.close()
        service.notifier.close()


@contextlib.contextmanager
def held(store: Files) -> Iterator[Callable[[], None]]:
    """Hold a store, of which only one service at a time may take care.

    Yields:
        Function that raises a `StoreError` once this service holds it no longer.

    Raises:
        SpecError: If another service does.
        StoreError: If the store cannot be used.
    """
    try:
        with Lease(store.below(FOLDER)) as lease:

            def check() -> None:
                try:
                    lease.check()
                except LeaseLost as error:
                    raise StoreError(
                        "another service took the store over, or it was out of reach for too "
                        "long; this service starts and stops no drivers: restart it"
                    ) from error

            yield check
    except LeaseHeld as error:
        text = str(error).replace("sweep at", "the store of", 1)
        raise SpecError(text.replace("being run", "served"), field="store") from error


def _absolute(path: str) -> str:
    """Return a path as drivers need it, which start in other folders."""
    return str(Path(path).expanduser().absolute())


def _secret(store: Files) -> str:
    """Return the key that signs sessions, so that they survive a restart of the service."""
    files = store.below(FOLDER)
    make_private(files)
    data = files.read(SECRET)
    if data is None:
        files.create(SECRET, secrets.token_hex(KEY_BYTES).encode())
        data = files.read(SECRET) or b""
    if len(data) < KEY_BYTES:
        raise StoreError(
            f"expected a key of at least {KEY_BYTES} bytes in {files.path(SECRET)}, got "
            f"{len(data)}; remove the file, and all log in again"
        )
    return data.decode(errors="replace")

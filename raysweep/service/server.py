"""The process of the service: its Ray cluster, its supervision and its web server."""

import contextlib
import getpass
import hashlib
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from raysweep.client import credentials
from raysweep.code.files import added
from raysweep.engine import local_cluster
from raysweep.engine.jobs import RayJobs, driver_environment
from raysweep.errors import ClusterError, SpecError, Stopped
from raysweep.service.access.sessions import LoginCodes
from raysweep.service.access.tokens import Tokens
from raysweep.service.app import create_app
from raysweep.service.config import Config
from raysweep.service.service import Service, assemble, held, running
from raysweep.store.files import Files

Show = Callable[[str], None]
STOP_S = 60.0  # for drivers to stop, before the Ray of this machine ends
GRACE_S = 5  # for answers in progress, when the service ends
LOOK_S = 1.0  # between looks at the Ray of this machine
DASHBOARD = "http://127.0.0.1:8265"  # where `ray start` puts it


def serve(config: Config, *, local: bool, show: Show) -> None:
    """Run the service until a signal comes.

    Args:
        config: Settings of the service.
        local: Whether to start Ray on this machine, and to end it with the service.
        show: Function that shows a line to the user.

    Raises:
        SpecError: If other machines could reach the service, and nobody needs a token; if another
            service has the store; or if the tasks of the configuration cannot be imported.
        ClusterError: If Ray does not start.
        StoreError: If the store cannot be used.
    """
    tokens = Tokens(Files(config.store))
    if config.is_open and all(token.has_expired(time.time()) for token in tokens.all()):
        raise SpecError(
            f"expected valid tokens before other machines can reach {config.host}, got none; "
            f"make one with 'raysweep token create NAME --role admin --store {config.store}'"
        )
    signal.signal(signal.SIGTERM, _raise_stopped)
    with (
        added([Path(path).expanduser() for path in config.code]),
        _socket(config) as listening,
        held(Files(config.store)) as check,
        contextlib.ExitStack() as stack,
    ):
        ray = stack.enter_context(_LocalRay(config.store, show)) if local else None
        address = ray.address if ray else config.address or _address_of_cluster()
        jobs = RayJobs(address, driver_environment())
        service = assemble(config, jobs)
        service.supervisor.check = check
        if ray is not None:
            stack.enter_context(ray.restarting(jobs))
        with running(service):
            try:
                _listen(service, listening, show)
            finally:
                if local:
                    show("stopping: packs save their state; once more ends at once")
                    service.supervisor.drain(STOP_S)


def _address_of_cluster() -> str:
    return os.environ.get("RAY_API_SERVER_ADDRESS") or DASHBOARD


class _LocalRay:
    """Ray of this machine, which ends with the service, and starts again if it ends before.

    Args:
        store: Path or URI of the store that it serves.
        show: Function that shows a line to the user.
    """

    def __init__(self, store: str, show: Show) -> None:
        self._file, self._show = _file_of_cluster(store), show
        self._cluster = local_cluster.running(self._file)

    @property
    def address(self) -> str:
        """Address of its dashboard."""
        return self._cluster.dashboard if self._cluster else ""

    def __enter__(self) -> "_LocalRay":
        """Start it, unless it runs already, as after the death of a service."""
        if self._cluster is None:
            self._show("starting Ray on this machine …")
            self._cluster = local_cluster.start(self._file)
        local_cluster.use_token(self._cluster)
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        if self._cluster is not None:
            self._cluster.stop()

    @contextlib.contextmanager
    def restarting(self, jobs: RayJobs) -> Iterator[None]:
        """Start it again whenever it ends, until the end of the block.

        Args:
            jobs: Jobs of the service, which move to the new one.
        """
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK_S):
                if self._cluster is not None and self._cluster.process.life() != "dead":
                    continue
                self._show("Ray has ended; it is started again: sweeps resume from checkpoints")
                try:
                    self._cluster = local_cluster.start(self._file)
                except ClusterError as error:
                    self._show(str(error))
                else:
                    jobs.move(self.address)

        thread = threading.Thread(target=watch, name="raysweep-ray", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _file_of_cluster(store: str) -> Path:
    digest = hashlib.sha256(Files(store).uri.encode()).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "raysweep"
    return folder / f"ray-{digest}.json"


def _listen(service: Service, listening: socket.socket, show: Show) -> None:
    config = service.config
    app = create_app(service)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            ssl_certfile=config.certificate,
            ssl_keyfile=config.key,
            proxy_headers=config.behind_proxy,
            server_header=False,
            log_level=logging.WARNING,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=30,
            limit_concurrency=1000,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    scheme = "https" if config.certificate else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    url = config.url or f"{scheme}://{host}:{listening.getsockname()[1]}"
    show(f"raysweep serves {service.store.uri} at {url}")
    _show_first_link(service, app.state.parts.codes, url, show)
    server.run(sockets=[listening])


def _socket(config: Config) -> socket.socket:
    """Return a socket that listens on the service's address.

    Raises:
        SpecError: If it cannot, as when the port is in use.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(
            f"cannot listen on {config.host}, port {config.port}: {reason}; give another port",
            field="port",
        ) from error
    listening.set_inheritable(True)
    return listening


def _show_first_link(service: Service, codes: LoginCodes, url: str, show: Show) -> None:
    """Show a link that logs the operator in, while nobody has a token."""
    if service.config.is_open or service.tokens.all():
        show(f"log in with a token: {url}/login")
        return
    name = re.sub(r"[^A-Za-z0-9]", "", getpass.getuser()) or "admin"
    token = service.tokens.create(name, "admin")
    path = credentials.save(url, token)
    user = service.tokens.user(token)
    show(f"made a token of the admin {name}, and saved it in {path} for commands on this machine")
    if user is not None:
        show(f"open this link once to log in: {url}/login?code={codes.create(user)}")


def _raise_stopped(number: int, frame: object) -> None:
    raise Stopped(128 + number)

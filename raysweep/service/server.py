"""The process of the service: its Ray cluster, its supervision and its web server."""

import contextlib
import getpass
import hashlib
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from raysweep.client import credentials
from raysweep.code.files import added
from raysweep.engine import local_cluster
from raysweep.engine.jobs import RayJobs, driver_environment
from raysweep.errors import SpecError, Stopped
from raysweep.service.access.sessions import LoginCodes
from raysweep.service.access.tokens import Tokens
from raysweep.service.app import create_app
from raysweep.service.config import Config
from raysweep.service.service import Service, assemble, held, running
from raysweep.store.files import Files

Show = Callable[[str], None]
STOP_S = 60.0  # for drivers to stop, before the Ray of this machine ends
GRACE_S = 5  # for answers in progress, when the service ends
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
        _cluster(config, local, show) as address,
    ):
        service = assemble(config, RayJobs(address, driver_environment()))
        service.supervisor.check = check
        with running(service):
            try:
                _listen(service, listening, show)
            finally:
                if local:
                    show("stopping: packs save their state; once more ends at once")
                    service.supervisor.drain(STOP_S)


@contextlib.contextmanager
def _cluster(config: Config, local: bool, show: Show) -> Iterator[str]:
    """Yield the address of the cluster's dashboard."""
    if not local:
        yield config.address or os.environ.get("RAY_API_SERVER_ADDRESS") or DASHBOARD
        return
    file = _file_of_cluster(config.store)
    cluster = local_cluster.running(file)
    if cluster is None:
        show("starting Ray on this machine …")
        cluster = local_cluster.start(file)
    local_cluster.use_token(cluster)
    try:
        yield cluster.dashboard
    finally:
        cluster.stop()


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

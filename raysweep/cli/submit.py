"""Commands of the service's users: log in, submit sweeps, cancel and continue them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raysweep.cli import remote
from raysweep.cli.options import SET, SPEC, SWEEP
from raysweep.cli.output import show
from raysweep.errors import SpecError
from raysweep.text import counted

if TYPE_CHECKING:
    from raysweep.client.results import RemoteResults

SERVICE = click.option(
    "--server",
    metavar="URL",
    help="Address of the service [default: $RAYSWEEP_SERVER, or the only one with a saved token].",
)
CANNOT_RUN = 2
INTERRUPTED = 130


@click.command()
@SPEC
@SERVICE
@click.option(
    "--priority",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Sweeps of higher priority start first; more than 0 needs an admin.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Show the progress until the sweep ends, and then its table.",
)
@click.option(
    "--smoke",
    is_flag=True,
    help="Train only a few steps of one configuration per arm, in a sweep named NAME-smoke.",
)
@SET
def submit(
    spec: Path,
    server: str | None,
    priority: int,
    watch: bool,
    smoke: bool,
    changes: tuple[str, ...],
) -> int:
    """Submit a sweep to a service, which trains what is missing of it."""
    service = remote.connected(server)
    with remote.spelt_changes("--set"):
        results = service.submit(spec, changes=changes, smoke=smoke, priority=priority)
    if watch:
        show(f"submitted {results.sweep} to {service.url}", err=True)
        return _watch(results)
    from raysweep.client.states import ended_text

    runs = ended_text(results.status()["runs"])
    show(f"submitted {results.sweep} to {service.url}; {runs} runs have ended")
    show(f"page: {results.page}")
    show(
        f"{_command('status', results)} shows its progress, {_command('table', results)} its "
        f"results, {_command('cancel', results)} stops it"
    )
    return 0


def _watch(results: "RemoteResults") -> int:
    """Show the progress of a sweep until it ends, then its table; return its exit code."""
    from raysweep.client.states import problem

    try:
        state = results.wait(quiet=False)
    except KeyboardInterrupt:
        show(
            f"{results.sweep} continues on {results.connection.url}; "
            f"{_command('cancel', results)} stops it",
            err=True,
        )
        return INTERRUPTED
    if state["exit_code"] == CANNOT_RUN:
        raise SpecError(problem(state))
    if any(state["runs"][end] for end in ("done", "diverged", "stopped", "failed")):
        remote.print_table(results.connection, {"sweep": [results.sweep]})
    _show_open(results, state)
    show(f"results: {results.page}")
    return 0 if state["state"] == "done" else 1


def _show_open(results: "RemoteResults", state: dict[str, Any]) -> None:
    """Show what failed or is missing, with what to do."""
    from raysweep.client.states import errors, missing, problem

    for line in errors(state):
        show(line, err=True)
    failed, open_runs = state["runs"]["failed"], missing(state)
    if failed:
        show(
            f"{counted(failed)} failed; {_command('resume', results)} retries those with fewer "
            "failures than resources.max_failures, with --retry-failed all; "
            f"{_command('logs', results)} shows the tracebacks",
            err=True,
        )
    if state["state"] == "stopped":
        show(f"{results.sweep} was stopped", err=True)
    if open_runs:
        show(
            f"{counted(open_runs)} still missing; {_command('resume', results)} resumes from the "
            "checkpoints",
            err=True,
        )
    if state["state"] == "failed" and not failed and not open_runs:
        show(problem(state), err=True)


def _command(name: str, results: "RemoteResults") -> str:
    """Return a command on a sweep of a service, as the user can copy it."""
    url = results.connection.url
    is_default = os.environ.get(remote.VARIABLE, "").rstrip("/") == url
    return f"'raysweep {name} {results.sweep}{'' if is_default else f' --server {url}'}'"


@click.command()
@SWEEP
@SERVICE
def cancel(sweep: str, server: str | None) -> int:
    """Stop a sweep of a service; what it has trained is kept."""
    results = remote.opened(server, sweep)
    results.cancel()
    show(f"{sweep} stops; {_command('resume', results)} resumes it")
    return 0


@click.command()
@SWEEP
@SERVICE
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Also retry runs that have failed resources.max_failures times.",
)
def resume(sweep: str, server: str | None, retry_failed: bool) -> int:
    """Resume a sweep of a service from its checkpoints."""
    results = remote.opened(server, sweep)
    results.resume(retry_failed=retry_failed)
    show(f"{sweep} continues; {_command('status', results)} shows its progress")
    return 0


@click.command()
@SWEEP
@SERVICE
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="Number of seeds of each configuration, all together.",
)
def extend(sweep: str, server: str | None, seeds: int) -> int:
    """Train more seeds of a sweep of a service."""
    results = remote.opened(server, sweep)
    results.extend(seeds)
    show(
        f"{sweep} continues with {counted(seeds, 'seed')}; {_command('status', results)} shows its "
        "progress"
    )
    return 0


@click.command()
@SERVICE
def login(server: str | None) -> int:
    """Save a token for a service; it is typed without being shown, or read from stdin."""
    from raysweep.client import credentials
    from raysweep.client.server import Server

    url = credentials.normal(server or credentials.default_server())
    if sys.stdin.isatty():
        given = click.prompt(f"Token for {url}", hide_input=True, err=True)
    else:
        given = sys.stdin.readline()
    token = credentials.check(given)
    user = Server(url, token).me()
    path = credentials.save(url, token)
    show(f"logged in to {url} as {user['name']} ({user['role']}); the token is in {path}")
    if credentials.is_readable_by_others(url):
        show(
            f"{url} does not encrypt: who can read the network between can read the token; ask "
            "its admin for an address with https",
            err=True,
        )
    if os.environ.get(credentials.TOKEN):
        show(f"${credentials.TOKEN} is set, and is used instead of the saved token", err=True)
    return 0

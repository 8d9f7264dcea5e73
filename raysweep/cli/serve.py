"""Commands of the service's host: start it, and make tokens for its users."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from raysweep.cli.options import STORE, store_of
from raysweep.cli.output import show
from raysweep.errors import Stopped

INSTALL = "the service needs more packages: pip install 'raysweep[service]'"


@click.command()
@STORE
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="YAML file with settings of the service.",
)
@click.option("--data", metavar="DIR", help="Folder of the data sets on every node.")
@click.option("--host", metavar="HOST", help="Address to listen on [default: 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on [default: 8080].",
)
@click.option(
    "--address",
    metavar="URL",
    help="Address of the Ray cluster's dashboard [default: http://127.0.0.1:8265].",
)
@click.option(
    "--local", is_flag=True, help="Start Ray on this machine, and end it with the service."
)
def serve(store: str | None, config: Path | None, local: bool, **options: Any) -> int:
    """Serve a store: sweeps are submitted, watched and cancelled in a browser or from elsewhere."""
    try:
        from raysweep.service.config import read_config
        from raysweep.service.server import serve as run_service
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("raysweep"):
            raise
        raise click.UsageError(f"{INSTALL} (no module {error.name})") from error
    given = {**options, "store": store}
    settings = read_config(config, given)
    if store is None and config is None:
        settings = read_config(config, {**given, "store": store_of(None)})
    try:
        run_service(settings, local=local, show=lambda line: show(line, err=True))
    except KeyboardInterrupt as error:
        return error.exit_code if isinstance(error, Stopped) else 130
    return 0


@click.group()
def token() -> None:
    """Make, list and revoke the tokens with which users reach the service."""


@token.command()
@click.argument("name")
@STORE
@click.option(
    "--role",
    required=True,
    type=click.Choice(["viewer", "member", "admin"]),
    help="What the user may do: read; also submit sweeps; or change every sweep.",
)
@click.option(
    "--days", type=float, metavar="N", help="Refuse the token after so many days [default: never]."
)
def create(name: str, store: str | None, role: Any, days: float | None) -> int:
    """Make a token of a user, and print it; it cannot be shown again."""
    show(_tokens(store).create(name, role, days))
    return 0


@token.command("list")
@STORE
def list_tokens(store: str | None) -> int:
    """List the tokens, without their secret parts."""
    from raysweep.cli.output import screen
    from raysweep.formats.grid import plain
    from raysweep.formats.text import as_text

    rows = [
        [
            one.token_id,
            one.name,
            one.role,
            _day(one.created_at),
            "never" if one.expires_at is None else _day(one.expires_at),
        ]
        for one in _tokens(store).all()
    ]
    if not rows:
        show("no tokens; 'raysweep token create NAME --role admin' makes one", err=True)
        return 0
    show(as_text([plain(["id", "user", "role", "created", "expires"], rows)], screen()), nl=False)
    return 0


@token.command()
@click.argument("name")
@STORE
def revoke(name: str, store: str | None) -> int:
    """Revoke the tokens of a user, or the token of an id."""
    from raysweep.text import counted

    show(f"revoked {counted(_tokens(store).revoke(name), 'token')}")
    return 0


def _tokens(store: str | None) -> Any:
    from raysweep.service.access.tokens import Tokens
    from raysweep.store.files import Files

    return Tokens(Files(store_of(store)))


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"

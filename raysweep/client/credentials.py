"""Tokens of this user for servers, in a file that only this user can read."""

import ipaddress
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from raysweep.errors import SpecError

SERVER, TOKEN = "RAYSWEEP_SERVER", "RAYSWEEP_TOKEN"  # environment variables


def path() -> Path:
    """Return the file of the tokens."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser()
    return folder / "raysweep" / "tokens.json"


def normal(url: str) -> str:
    """Return the address of a server in its usual form.

    Raises:
        SpecError: If it is not an address of a server.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise SpecError(
            f"expected the address of a server such as http://127.0.0.1:8080, got {url!r}",
            field="server",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def save(url: str, token: str) -> Path:
    """Save a token for a server, and return the file.

    Raises:
        SpecError: If the file cannot be written.
    """
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        tokens = {**_read(file), normal(url): token}
        aside = file.with_name(f".{file.name}.{os.getpid()}")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump(tokens, stream, indent=1)
        aside.replace(file)
    except OSError as error:
        raise SpecError(f"cannot write {file}: {error.strerror}") from error
    return file


def token_for(url: str) -> str | None:
    """Return `$RAYSWEEP_TOKEN`, else the token that was saved for a server; None if there is none.

    Raises:
        SpecError: If the file cannot be read.
    """
    return os.environ.get(TOKEN) or _read(path()).get(normal(url))


def servers() -> list[str]:
    """Return the servers that a token was saved for.

    Raises:
        SpecError: If the file of the tokens cannot be read.
    """
    return sorted(_read(path()))


def default_server() -> str:
    """Return `$RAYSWEEP_SERVER`, else the only server that a token was saved for.

    Raises:
        SpecError: If there is none, or there are several.
    """
    if given := os.environ.get(SERVER):
        return given
    known = servers()
    if len(known) == 1:
        return known[0]
    there = f"tokens are saved for {', '.join(known)}" if known else "no token is saved"
    raise SpecError(
        f"expected the address of a server: {there}; give it, or set {SERVER}", field="server"
    )


def is_readable_by_others(url: str) -> bool:
    """Return whether a token is sent without encryption to another machine."""
    return urlsplit(url).scheme == "http" and not is_here(url)


def is_here(url: str) -> bool:
    """Return whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check(token: str) -> str:
    """Return a token without the space around it.

    Raises:
        SpecError: If it cannot be one; the message does not repeat it.
    """
    text = token.strip()
    if not text or not all("!" <= letter <= "~" for letter in text):
        raise SpecError(
            "expected a token in one line, as 'raysweep token create' prints it", field="token"
        )
    return text


def _read(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read {file}: {error}; remove it, and log in again") from error
    return {str(url): str(token) for url, token in data.items()} if isinstance(data, dict) else {}

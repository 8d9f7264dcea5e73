"""Tokens of this user for servers, in a file that only this user can read."""

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


def _read(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read {file}: {error}; remove it, and log in again") from error
    return {str(url): str(token) for url, token in data.items()} if isinstance(data, dict) else {}

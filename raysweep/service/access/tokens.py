"""Bearer tokens: made once, stored as hashes, checked at every request."""

import dataclasses
import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from pathlib import Path
from typing import Any

from raysweep.errors import DamagedFile, SpecError, StoreError, nearest
from raysweep.service.access.roles import ROLES, Role, User
from raysweep.store import json_file
from raysweep.store.files import Files

FOLDER = ".service"  # below the store; no sweep can have this name
TOKENS = "tokens"  # folder with a file for each token, so that none undoes a change of another
PREFIX = "raysweep"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
FRESH_S = 2.0  # for which tokens are kept in memory
DAY_S = 86_400
MOST_DAYS = 3650

log = logging.getLogger("raysweep.service")


@dataclasses.dataclass(frozen=True)
class Token:
    """Token as it is stored, from which nobody can make the token itself.

    Args:
        token_id: Identity of the token, which is a part of it.
        name: Name of the user.
        role: Role of the user.
        digest: SHA-256 of the secret part; the secret is random and long, so needs no salt.
        created_at: Time of creation, in seconds since 1970.
        expires_at: Time from which it is refused, in seconds since 1970; None for never.
    """

    token_id: str
    name: str
    role: Role
    digest: str
    created_at: float
    expires_at: float | None

    def has_expired(self, now: float) -> bool:
        """Return whether the token is refused because of its age."""
        return self.expires_at is not None and now >= self.expires_at


class Tokens:
    """Tokens of a store's service.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.files = store.below(FOLDER)
        self._kept: tuple[float, dict[str, Token]] | None = None

    def all(self) -> list[Token]:
        """Return the tokens, the oldest first.

        Raises:
            StoreError: If they cannot be read.
        """
        return sorted(self._read().values(), key=lambda token: token.created_at)

    def create(self, name: str, role: Role, days: float | None = None) -> str:
        """Create a token, and return it; nobody can read it again.

        Args:
            name: Name of the user.
            role: Role of the user.
            days: Days after which it is refused; None for never.

        Raises:
            SpecError: If the name or the number of days is wrong.
            StoreError: If it cannot be stored.
        """
        if not NAME.fullmatch(name):
            raise SpecError(
                "expected a user's name of at most 64 letters, digits, '.', '_', '@' and '-', "
                f"got {name!r}"
            )
        if role not in ROLES:
            raise SpecError(f"unknown role {role!r}{nearest(role, ROLES)}", field="role")
        if days is not None and not 0 < days <= MOST_DAYS:
            raise SpecError(f"expected 1 to {MOST_DAYS} days, got {days:g}", field="days")
        now = time.time()
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        expires_at = None if days is None else now + days * DAY_S
        token = Token(token_id, name, role, _digest(secret), now, expires_at)
        make_private(self.files)
        self.files.write(_file(token_id), json.dumps(dataclasses.asdict(token), indent=1).encode())
        self._kept = None
        return f"{PREFIX}_{token_id}_{secret}"

    def revoke(self, name: str) -> int:
        """Remove the tokens of a user, or the token of an identity; return their number.

        Raises:
            SpecError: If there is none.
            StoreError: If the change cannot be stored.
        """
        tokens = self._read().values()
        ended = [token for token in tokens if name in (token.token_id, token.name)]
        if not ended:
            raise SpecError(
                f"no token of {name!r}{nearest(name, {token.name for token in tokens})}"
            )
        for token in ended:
            self.files.remove(_file(token.token_id))
        self._kept = None
        return len(ended)

    def user(self, text: str) -> User | None:
        """Return the user of a token; None if it is unknown, or has expired.

        Raises:
            StoreError: If the tokens cannot be read.
        """
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        token = self._recent().get(token_id)
        digest = _digest(secret)  # also for unknown tokens, so that both take the same time
        if token is None or prefix != PREFIX:
            return None
        if not hmac.compare_digest(digest, token.digest) or token.has_expired(time.time()):
            return None
        return User(token.name, token.role, token_id)

    def holder(self, token_id: str) -> User | None:
        """Return the user of a token by its identity, for a session that the token opened."""
        token = self._recent().get(token_id)
        if token is None or token.has_expired(time.time()):
            return None
        return User(token.name, token.role, token_id)

    def _recent(self) -> dict[str, Token]:
        kept, now = self._kept, time.monotonic()
        if kept is None or now - kept[0] > FRESH_S:
            kept = self._kept = (now, self._read())
        return kept[1]

    def _read(self) -> dict[str, Token]:
        def build(data: Any) -> Token:
            token = Token(**data)
            if token.role not in ROLES:
                raise ValueError(f"the role {token.role!r}")
            return token

        tokens = {}
        for name in self.files.names(TOKENS, ".json"):
            try:
                token = json_file.read_json(self.files, name, build, "a token")
            except DamagedFile as error:  # refused, as an unknown one is
                log.warning("%s", error)
            else:
                if token is not None:
                    tokens[token.token_id] = token
        return tokens


def make_private(files: Files) -> None:
    """Let only this user enter a local folder, which is created if it is missing.

    Raises:
        StoreError: If that fails.
    """
    if not files.is_local:
        return
    try:
        Path(files.root).mkdir(parents=True, exist_ok=True)
        Path(files.root).chmod(0o700)
    except OSError as error:
        raise StoreError(f"cannot create {files.root}: {error.strerror}") from error


def _file(token_id: str) -> str:
    return f"{TOKENS}/{token_id}.json"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

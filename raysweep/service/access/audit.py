"""Audit log: who changed what, a file for each entry, which no later entry changes."""

import dataclasses
import json
import logging
import secrets
from datetime import datetime, timezone

from raysweep.errors import StoreError
from raysweep.service.access.tokens import FOLDER, make_private
from raysweep.store.files import Files

log = logging.getLogger("raysweep.service")


@dataclasses.dataclass(frozen=True)
class AuditEntry:
    """Action of a user.

    Args:
        at: Time, in seconds since 1970.
        user: Name of the user.
        token_id: Identity of the token that the user showed.
        address: Address of the user's machine.
        action: Action in one word.
        sweep: Name of the sweep; empty if the action is about none.
        text: Details in one line.
    """

    at: float
    user: str
    token_id: str
    address: str
    action: str
    sweep: str = ""
    text: str = ""


class AuditLog:
    """Audit log of a store's service.

    Args:
        store: The store with the sweeps.
    """

    def __init__(self, store: Files) -> None:
        self.files = store.below(FOLDER)

    def add(self, entry: AuditEntry) -> None:
        """Add an entry; a store that does not take it is reported in the service's log."""
        log.info("%s %s %s %s", entry.user, entry.action, entry.sweep, entry.text)
        time_text = datetime.fromtimestamp(entry.at, timezone.utc).strftime("%Y-%m-%dT%H-%M-%S.%f")
        try:
            make_private(self.files)
            self.files.write(
                f"audit/{time_text}-{secrets.token_hex(3)}.json",
                json.dumps(dataclasses.asdict(entry)).encode(),
            )
        except StoreError as error:
            log.error("the audit log cannot be written: %s", error)

    def entries(self, most: int = 200) -> list[AuditEntry]:
        """Return the latest entries, the last one first.

        Raises:
            StoreError: If they cannot be read.
        """
        names = self.files.names("audit", ".json")[-most:]
        data = [self.files.read(name) for name in reversed(names)]
        return [AuditEntry(**json.loads(text)) for text in data if text]

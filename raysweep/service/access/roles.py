"""Users of the service, and what their roles allow."""

import dataclasses
from typing import Literal

from raysweep.store.submission import Submission

Role = Literal["viewer", "member", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "member", "admin")


@dataclasses.dataclass(frozen=True)
class User:
    """User of the service.

    Args:
        name: Name of the user.
        role: Role, which says what the user may do: a viewer reads, a member also submits sweeps
            and changes those that the member owns, an admin changes every sweep.
        token_id: Identity of the token that the user showed.
    """

    name: str
    role: Role
    token_id: str = ""

    def has(self, role: Role) -> bool:
        """Return whether the user's role is at least another."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def may_change(self, submission: Submission | None) -> bool:
        """Return whether the user may change a sweep.

        Args:
            submission: Submission of the sweep; None if nobody submitted it.
        """
        if self.has("admin"):
            return True
        owns = submission is not None and submission.owner == self.name
        return self.has("member") and owns

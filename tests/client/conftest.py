"""Fixtures of tests with a service that listens on this machine."""

from live_service import (  # noqa: F401
    _nothing_of_this_user,
    ended,
    live,
    server,
    stored,
    user,
)

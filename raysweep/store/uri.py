"""URIs of stores in buckets: detection of credentials, and options for fewer requests."""

import re
from urllib.parse import parse_qs, urlsplit, urlunsplit


def has_credentials(uri: str) -> bool:
    """Return whether the URI holds a password, a key or a token."""
    parts = urlsplit(uri)
    user = parts.netloc.rpartition("@")[0]
    secret = re.compile("secret|password|token|key|sas|sig|credential", re.IGNORECASE)
    return (
        ":" in user
        or (parts.scheme == "s3" and bool(user))
        or any(secret.search(name) for name in parse_qs(parts.query))
    )


def single_put(uri: str) -> str:
    """Return the URI with the option to write a small object in one request instead of three."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or "allow_delayed_open" in parts.query:
        return uri
    query = "&".join(filter(None, (parts.query, "allow_delayed_open=true")))
    return urlunsplit(parts._replace(query=query))

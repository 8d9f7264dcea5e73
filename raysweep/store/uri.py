"""URIs of stores: slips in their spelling, credentials, and options for fewer requests."""

import re
from urllib.parse import parse_qs, urlsplit, urlunsplit

from raysweep.errors import SpecError

BUCKETS = ("s3", "gs", "gcs", "abfs", "abfss")
WITHOUT_HOST = ("file", "hdfs", "viewfs")  # three slashes are right
_BEGINNING = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(:/*|//+)(.*)", re.DOTALL)


def is_uri(text: str) -> bool:
    """Return whether the text is a URI rather than a local path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def right_spelling(text: str) -> str | None:
    """Return the URI that is meant where its beginning has a slip; None if it has none.

    Without this, `s3:/bucket` and `S3://bucket` would be local folders of these names. One below
    the present folder can still be meant by `./s3:`.
    """
    match = _BEGINNING.fullmatch(text.strip())
    if match is None:
        return None
    scheme, rest = match[1].lower(), match[3]
    if scheme in BUCKETS:
        right = f"{scheme}://{rest.lstrip('/')}"
    elif scheme in WITHOUT_HOST:
        has_host = scheme != "file" or rest.startswith("localhost/")
        is_right = match[2] == ":///" or (match[2] == "://" and has_host)
        right = f"{scheme}{match[2] if is_right else ':///'}{rest}"
    else:
        return None
    return None if right == text else right


def check_spelling(text: str) -> None:
    """Check that a path or URI of a store has no slip at its beginning, and no credentials.

    Raises:
        SpecError: If it has.
    """
    right = right_spelling(text)
    if has_credentials(right or text) and is_uri(right or text):
        raise SpecError(
            "expected a URI without credentials, got a URI that holds some; pass them in the "
            "environment or in the provider's credential files",
            field="store",
        )
    if right is not None:
        raise SpecError(f"expected a path or a URI, got {text!r}; write {right!r}", field="store")


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

"""Messages to webhooks, chats and mailboxes when a sweep ends; a failure of one is only logged."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import apprise

from raysweep.errors import SpecError
from raysweep.store.submission import Submission
from raysweep.text import one_line

ENDS = ("done", "failed")
LONGEST = 500  # letters of a reason in a message

log = logging.getLogger("raysweep.service")


class Notifier:
    """Sender of messages about ends of sweeps, in the background.

    Args:
        urls: URLs of webhooks and of other receivers, as Apprise takes them.
        page: Address under which users reach the service; None where it is not known.
        count: Function that counts a message: `sent` or `failed`.

    Raises:
        SpecError: If a URL is of no known kind.
    """

    def __init__(self, urls: Sequence[str], page: str | None, count: Callable[[str], None]) -> None:
        self._urls, self._page, self._count = tuple(urls), page, count
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would log addresses
        for index, url in enumerate(urls, 1):
            if not apprise.Apprise.instantiate(with_payload(url, {}), suppress_exceptions=True):
                raise SpecError(
                    f"expected URL {index} to be that of a webhook, such as https://HOST/PATH, or "
                    "one that Apprise takes, such as mailto://USER:PASSWORD@HOST?to=ADDRESS",
                    field="notify",
                )
        self._pool = ThreadPoolExecutor(1, "raysweep-notify")

    def ended(self, sweep: str, submission: Submission) -> None:
        """Send a message if a sweep is done or has failed; returns at once."""
        if self._urls and submission.outcome is not None:
            self._pool.submit(self._send, sweep, submission).add_done_callback(_log_error)

    def close(self) -> None:
        """Wait for messages that are being sent; others are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _send(self, sweep: str, submission: Submission) -> None:
        fields = message_fields(sweep, submission, self._page)
        for index, url in enumerate(self._urls, 1):
            receiver = apprise.Apprise()
            receiver.add(with_payload(url, fields))
            is_sent = bool(receiver.notify(body=fields["text"], title=f"raysweep: {sweep}"))
            self._count("sent" if is_sent else "failed")
            if not is_sent:
                log.warning("%s: the message to receiver %s could not be sent", sweep, index)


def _log_error(sending: "Future[None]") -> None:
    if not sending.cancelled() and (error := sending.exception()) is not None:
        log.error("a message could not be sent", exc_info=error)


def message_fields(sweep: str, submission: Submission, page: str | None) -> dict[str, str]:
    """Return the content of the JSON that a webhook gets.

    Args:
        sweep: Name of the sweep.
        submission: Submission of the sweep, which has ended.
        page: Address of the service; None where it is not known.
    """
    outcome = submission.outcome
    state = outcome.state if outcome else submission.wanted
    reason = one_line(outcome.text)[:LONGEST] if outcome else ""
    text = f"{sweep} of {submission.owner} {'is done' if state == 'done' else 'has failed'}"
    text += f": {reason}" if reason else ""
    fields = {"sweep": sweep, "state": state, "owner": submission.owner, "reason": reason}
    if page is not None:
        fields["url"] = f"{page.rstrip('/')}/sweeps/{quote(sweep)}"
        text += f" ({fields['url']})"
    return {"text": text, **fields}


def with_payload(url: str, fields: Mapping[str, str]) -> str:
    """Return a URL for Apprise; of a plain webhook, one that sends these fields as JSON.

    URLs of chats that Apprise knows, such as Slack and Teams, stay as they are.
    """
    parts = urlsplit(url)
    known = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if parts.scheme not in ("http", "https") or known:
        return url
    payload = {":version": "", ":title": "", ":message": "text", ":type": "", ":attachments": ""}
    extras = {f":{name}": value for name, value in fields.items() if name != "text"}
    query = {f"-{name}": value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    return urlunsplit(
        parts._replace(
            scheme="json" if parts.scheme == "http" else "jsons",
            query=urlencode({**query, **payload, **extras}, quote_via=quote),
            fragment="",
        )
    )

"""Limits on the number of requests, and on the size of their bodies."""

from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raysweep.errors import RaysweepError

REFUSED_PER_MINUTE = 30  # requests of a machine with a wrong token


class TooManyRequests(RaysweepError):
    """Refusal of a user or a machine that sends too many requests."""


class RequestLimits:
    """Limits on the number of requests of each user, and of those that are refused.

    Args:
        per_minute: Largest number of requests of a user in a minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_user = RateLimitItemPerMinute(per_minute)
        self._refused = RateLimitItemPerMinute(REFUSED_PER_MINUTE)

    def count(self, user: str) -> None:
        """Count a request of a user.

        Raises:
            TooManyRequests: If there were too many in the last minute.
        """
        if not self._limiter.hit(self._per_user, "user", user):
            raise TooManyRequests(
                f"expected at most {self._per_user.amount} requests in a minute; wait a minute"
            )

    def count_refused(self, address: str) -> None:
        """Count a request that is refused for its token.

        Raises:
            TooManyRequests: If there were too many from that address in the last minute.
        """
        if not self._limiter.hit(self._refused, "refused", address):
            raise TooManyRequests("too many requests with wrong tokens; wait a minute")


def address_of(request: Request) -> str:
    """Return the address of the machine that sent a request."""
    return request.client.host if request.client else ""


class BodyTooLarge(Exception):
    """Body of a request that is larger than the limit."""


class _SizeLimit:
    def __init__(
        self, app: ASGIApp, most: int, refused: Callable[[Request, str], Response]
    ) -> None:
        self.app, self.most, self._refused = app, most, refused

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, text: str) -> None:
        await self._refused(Request(scope), text)(scope, receive, send)


class BodyLimit(_SizeLimit):
    """Middleware that refuses bodies of requests that are too large, by their header or content.

    Args:
        app: Application behind it.
        most: Largest number of bytes.
        refused: Function from a request and the reason to the answer that refuses it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        text = f"expected a body of at most {self.most} bytes; send a smaller one"
        header = dict(scope["headers"]).get(b"content-length", b"0")
        if not header.isdigit() or int(header) > self.most:
            await self._refuse(scope, receive, send, text)
            return
        size, started = 0, False

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                raise BodyTooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            if started or size <= self.most:  # else the answer to a body that could not be read
                started = True
                await send(message)

        try:
            await self.app(scope, counted, noted)
        except BodyTooLarge:
            if started:
                raise
        if size > self.most and not started:
            await self._refuse(scope, receive, send, text)


class AnswerLimit(_SizeLimit):
    """Middleware that refuses to send answers that are too large; those of events have no size.

    Args:
        app: Application behind it.
        most: Largest number of bytes.
        refused: Function from a request and the reason to the answer that refuses it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer if that is small enough."""
        is_refused = False

        async def limited(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                size = int(dict(message["headers"]).get(b"content-length", b"0"))
                if size > self.most:
                    is_refused = True
                    text = f"expected at most {self.most} bytes, got {size}; ask for a part"
                    await self._refuse(scope, receive, send, text)
            if not is_refused:
                await send(message)

        await self.app(scope, receive, limited)

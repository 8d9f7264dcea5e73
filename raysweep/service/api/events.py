"""Endpoint of live progress: server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from raysweep.service.access.sessions import BadToken, user_of
from raysweep.service.api import models
from raysweep.service.api.access import AnyUser, Parts, Service_
from raysweep.service.state import Entry

router = APIRouter(tags=["sweeps"])
LOOK_S = 0.5
PING_S = 15
TOKEN_S = 2.0  # after which the token is looked up again, as at other requests
OPEN = ("queued", "running")


@router.get("/sweeps/{name}/events", response_class=EventSourceResponse)
def events(request: Request, name: str, user: AnyUser, parts: Service_) -> EventSourceResponse:
    """Send events `progress` with the sweep as it changes, and `end` when it no longer runs."""
    entry = parts.service.sweeps.entry(name)
    return EventSourceResponse(_events(request, parts, entry), ping=PING_S)


async def _events(request: Request, parts: Parts, first: Entry) -> AsyncIterator[ServerSentEvent]:
    last, waited_s = "", 0.0
    while True:
        entries = {entry.name: entry for entry in parts.service.catalogue.entries()}
        entry = entries.get(first.name)
        if entry is None:
            yield ServerSentEvent("{}", event="end")
            return
        data = models.detail(entry, "").model_dump_json(exclude={"file"})
        if data != last:
            last = data
            yield ServerSentEvent(data, event="progress")
        if entry.state not in OPEN:
            yield ServerSentEvent(data, event="end")
            return
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S
        if waited_s >= TOKEN_S:
            waited_s = 0.0
            if not await asyncio.to_thread(_is_known, request, parts):
                return


def _is_known(request: Request, parts: Parts) -> bool:
    """Return whether the user's token is still valid."""
    try:
        return user_of(request, parts.service.tokens) is not None
    except BadToken:
        return False

"""Page of one sweep: its state and progress; what takes longer to read is loaded after it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from raysweep.service.api.access import Service_
from raysweep.service.pages.rendering import html
from raysweep.service.pages.shown import ShownSweep, shown
from raysweep.service.pages.users import PageUser

router = APIRouter(include_in_schema=False)
MOST_PACKS = 20
MOST_ARMS = 300
MOST_EVENTS = 50


@router.get("/sweeps/{name}")
def sweep(request: Request, name: str, user: PageUser, parts: Service_) -> Response:
    """Show a sweep."""
    one = shown_sweep(parts, name)
    submission = one.submission
    events = submission.events if submission else ()
    return html(
        request,
        "sweep.html",
        sweep=one,
        status=one.entry.status,
        actions=one.actions(user),
        events=tuple(reversed(events))[:MOST_EVENTS],
        most_packs=MOST_PACKS,
        most_arms=MOST_ARMS,
        cluster=request.app.state.cluster.shown(),
        trouble=parts.service.supervisor.problem,
    )


def shown_sweep(parts: Service_, name: str) -> ShownSweep:
    """Return a sweep as pages show it.

    Raises:
        NoSuchSweep: If the store has no such sweep.
    """
    entry = parts.service.sweeps.entry(name)
    return shown([entry], parts.service.catalogue.entries())[0]

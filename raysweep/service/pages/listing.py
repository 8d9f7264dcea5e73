"""Page of all sweeps: searched, filtered, and in pages of a hundred."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from raysweep.service.api.access import Service_
from raysweep.service.api.sweeps import in_order, selected
from raysweep.service.pages.rendering import html
from raysweep.service.pages.shown import shown
from raysweep.service.pages.users import PageUser
from raysweep.service.state import STATES

router = APIRouter(include_in_schema=False)
PER_PAGE = 100


@dataclasses.dataclass(frozen=True)
class Filters:
    """Choice of sweeps to list; an empty value chooses all.

    Args:
        search: Text in the name or the description.
        owner: Name of the user who submitted them.
        state: State that they are in.
        tag: Tag that they have.
    """

    search: str = ""
    owner: str = ""
    state: str = ""
    tag: str = ""

    @property
    def given(self) -> Mapping[str, str]:
        """Values that are not empty."""
        return {name: value for name, value in vars(self).items() if value}

    def address(self, page: int) -> str:
        """Return the address of a page of these sweeps."""
        query = {**self.given, **({"page": page} if page > 1 else {})}
        return f"/?{urlencode(query)}" if query else "/"


@router.get("/")
def sweeps(  # noqa: PLR0913, PLR0917 - the filters
    request: Request,
    user: PageUser,
    parts: Service_,
    search: str = "",
    owner: str = "",
    state: str = "",
    tag: str = "",
    page: Annotated[int, Query(ge=1)] = 1,
) -> Response:
    """List the sweeps, the last submitted first."""
    states = [one for one in STATES if one == state]
    filters = Filters(search.strip(), owner, "".join(states), tag)
    every = parts.service.catalogue.entries()
    chosen = in_order(selected(every, states, owner, filters.search, [tag] if tag else None))
    pages = max(1, math.ceil(len(chosen) / PER_PAGE))
    page = min(page, pages)
    part = chosen[(page - 1) * PER_PAGE : page * PER_PAGE]
    owners = {entry.submission.owner for entry in every if entry.submission}
    tags = {label for entry in every if entry.status for label in entry.status.spec.tags}
    return html(
        request,
        "sweeps.html",
        sweeps=shown(part, every),
        total=len(every),
        count=len(chosen),
        filters=filters,
        states=STATES,
        owners=sorted(owners),
        tags=sorted(tags),
        page=page,
        pages=pages,
        cluster=request.app.state.cluster.shown(),
        trouble=parts.service.supervisor.problem,
    )

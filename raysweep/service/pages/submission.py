"""Page to submit a sweep file: typed, uploaded, or taken from an example or another sweep."""

import dataclasses
import functools
from importlib import resources
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from raysweep.errors import RaysweepError, SpecError
from raysweep.service.access.roles import User
from raysweep.service.api.access import Service_, record
from raysweep.service.api.errors import status_of
from raysweep.service.api.models import Checked
from raysweep.service.api.sweeps import check_text
from raysweep.service.pages.rendering import html
from raysweep.service.pages.users import FormUser, PageUser
from raysweep.service.sweeps import MEMBERS_HIGHEST, PRIORITIES, Forbidden, Mistake, mistakes

router = APIRouter(include_in_schema=False)


@dataclasses.dataclass(frozen=True)
class Draft:
    """Sweep file that is not submitted yet.

    Args:
        text: Text of the file.
        priority: Sweeps of higher priority start first.
        smoke: Whether only a short version is trained, for a test.
        mistakes: Mistakes of the file.
        problem: Reason why a right file cannot be submitted; empty for none.
        checked: Result of the check of a right file; None if it was not checked.
        source: Name of the sweep that the text is from; empty for none.
    """

    text: str = ""
    priority: int = 0
    smoke: bool = False
    mistakes: tuple[Mistake, ...] = ()
    problem: str = ""
    checked: Checked | None = None
    source: str = ""


@router.get("/submit")
def submission_page(
    request: Request,
    user: PageUser,
    parts: Service_,
    source: Annotated[str, Query(alias="from")] = "",
    example: bool = False,
) -> Response:
    """Show the form for a sweep file."""
    _check_role(user)
    draft = Draft()
    if source:
        entry = parts.service.sweeps.entry(source)
        priority = entry.submission.priority if entry.submission else 0
        draft = Draft(parts.service.sweeps.file(entry), _allowed(user, priority), source=source)
    elif example:
        draft = Draft(example_text())
    return _form(request, user, draft)


@router.post("/submit")
def submit(  # noqa: PLR0913, PLR0917 - parameters of the form
    request: Request,
    user: FormUser,
    parts: Service_,
    text: Annotated[str, Form()] = "",
    priority: Annotated[int, Form()] = 0,
    smoke: Annotated[bool, Form()] = False,
    action: Annotated[Literal["check", "submit"], Form()] = "submit",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Check or submit a sweep file; its mistakes are shown with the form."""
    _check_role(user)
    draft = Draft(text.replace("\r\n", "\n"), priority, smoke)
    try:
        if file is not None and file.size:
            draft = dataclasses.replace(draft, text=_decoded(file.file.read()))
        if action == "check":
            checked = check_text(parts, draft.text, smoke=smoke)
            return _form(request, user, dataclasses.replace(draft, checked=checked))
        entry = parts.service.sweeps.submit(user, draft.text, priority, smoke=smoke)
    except SpecError as error:
        return _form(
            request, user, dataclasses.replace(draft, mistakes=tuple(mistakes(error))), 422
        )
    except RaysweepError as error:
        return _form(
            request, user, dataclasses.replace(draft, problem=str(error)), status_of(error)
        )
    record(request, user, "submit", entry.name)
    return RedirectResponse(f"/sweeps/{entry.name}", 303)


@functools.cache
def example_text() -> str:
    """Return a sweep file to start from."""
    path = resources.files("raysweep.service.pages") / "example.yaml"
    return path.read_text(encoding="utf-8")


def _check_role(user: User) -> None:
    if not user.has("member"):
        raise Forbidden(f"{user.name} is a {user.role}; submitting sweeps needs a member")


def _allowed(user: User, priority: int) -> int:
    return priority if user.has("admin") else min(priority, MEMBERS_HIGHEST)


def _decoded(data: bytes) -> str:
    """Return the text of an uploaded file.

    Raises:
        SpecError: If it is not UTF-8 text.
    """
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SpecError("expected a sweep file as UTF-8 text") from error


def _form(request: Request, user: User, draft: Draft, status: int = 200) -> Response:
    highest = PRIORITIES[-1] if user.has("admin") else MEMBERS_HIGHEST
    range_ = (PRIORITIES[0], highest)
    return html(request, "submit.html", status, draft=draft, priorities=range_)

"""Errors as answers: a status and one line each; of a sweep file, its mistakes with their lines."""

import dataclasses
import logging
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from raysweep.errors import (
    ClusterError,
    DamagedFile,
    FormatTooNew,
    LeaseHeld,
    RaysweepError,
    SpecError,
    StoreError,
)
from raysweep.service.sweeps import Conflict, Forbidden, NoSuchSweep, mistakes

KINDS = "raysweep.errors"  # module of the errors whose names answers have
STATUSES: dict[type[RaysweepError], int] = {
    NoSuchSweep: 404,
    Forbidden: 403,
    Conflict: 409,
    LeaseHeld: 409,
    DamagedFile: 409,
    FormatTooNew: 409,
    StoreError: 503,
    ClusterError: 503,
    RaysweepError: 409,
}

log = logging.getLogger("raysweep.service")


class TooLarge(RaysweepError):
    """Refusal of an answer or a body that is too large."""


def status_of(error: RaysweepError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, SpecError):
        return 422
    if isinstance(error, TooLarge):
        return 413
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))


def add_handlers(app: FastAPI) -> None:
    """Let an application answer with the errors of raysweep."""
    app.add_exception_handler(RaysweepError, _explained)
    app.add_exception_handler(RequestValidationError, _invalid)


def _explained(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RaysweepError):
        raise error
    if isinstance(error, SpecError):
        listed = [dataclasses.asdict(mistake) for mistake in mistakes(error)]
        return JSONResponse(listed, status_code=422)
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == KINDS)
    detail = {"detail": str(error), "kind": kind, "field": error.field}
    return JSONResponse(detail, status_code=status_of(error))


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Return the mistakes of parameters in the form of those of a sweep file."""
    if not isinstance(error, RequestValidationError):
        raise error
    listed = [
        {"line": None, "message": f"{_name(one['loc'])}: {one['msg']}", "field": _name(one["loc"])}
        for one in error.errors()
    ]
    return JSONResponse(jsonable_encoder(listed), status_code=422)


def _name(location: Sequence[str | int]) -> str:
    """Return the dotted name of a parameter."""
    return ".".join(map(str, location[1:]))

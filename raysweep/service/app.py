"""The application: HTTP interface and pages, behind limits and headers."""

from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from raysweep.errors import RaysweepError
from raysweep.service.access.headers import SecurityHeaders
from raysweep.service.access.limits import AnswerLimit, BodyLimit, RequestLimits, TooManyRequests
from raysweep.service.access.sessions import SESSION_S, BadToken, ForeignRequest, LoginCodes
from raysweep.service.api import (
    errors,
    events,
    figures,
    models,
    queries,
    results,
    status,
    sweeps,
)
from raysweep.service.api.access import AnyUser, Parts, Service_
from raysweep.service.metrics import CountedRequests
from raysweep.service.pages.errors import too_large
from raysweep.service.pages.site import add_pages
from raysweep.service.readings import Readings
from raysweep.service.service import Service

PREFIX = "/api/v1"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "description": meaning}
    for status, meaning in {
        400: "The request cannot be read",
        401: "No token that is known and valid",
        403: "The role does not allow it",
        404: "No such sweep",
        409: "The sweep's state does not allow it",
        413: "Too large",
        429: "Too many requests",
        503: "The store or the cluster does not answer",
    }.items()
}


def create_app(service: Service) -> FastAPI:
    """Return the application of a service."""
    config = service.config
    app = FastAPI(
        title="raysweep",
        version=metadata.version("raysweep"),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page would load scripts from another site
        redoc_url=None,
        responses=REFUSALS,
    )
    limits = RequestLimits(config.requests_per_minute)
    app.state.parts = Parts(service, Readings(service.store), limits, LoginCodes())
    for part in (sweeps, status, results, queries, figures, events):
        app.include_router(part.router, prefix=PREFIX)
    _add_open_endpoints(app)
    _add_handlers(app)
    add_pages(app, service)
    app.add_middleware(
        SessionMiddleware,
        secret_key=service.secret,
        session_cookie="__Host-raysweep" if config.has_tls else "raysweep",
        max_age=SESSION_S,
        same_site="lax",
        https_only=config.has_tls,
    )
    app.add_middleware(AnswerLimit, most=config.answer_bytes, refused=too_large)
    app.add_middleware(BodyLimit, most=config.body_bytes, refused=too_large)
    if not config.is_open and not config.behind_proxy:
        app.add_middleware(
            TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", "::1"]
        )
    app.add_middleware(CountedRequests, metrics=service.metrics)
    app.add_middleware(SecurityHeaders, has_tls=config.has_tls)
    return app


def _add_open_endpoints(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/health", tags=["service"])
    def health(parts: Service_) -> models.Health:
        """Return whether the service works; needs no token."""
        problem = parts.service.supervisor.problem
        return models.Health(
            status="degraded" if problem else "ok",
            version=metadata.version("raysweep"),
            problem="the store or the cluster does not answer" if problem else "",
        )

    @app.get(f"{PREFIX}/me", tags=["service"])
    def me(user: AnyUser) -> models.Me:
        """Return the user who asks."""
        return models.Me(name=user.name, role=user.role)

    @app.get("/metrics", tags=["service"], response_class=Response)
    def metrics(user: AnyUser, parts: Service_) -> Response:
        """Return numbers for Prometheus."""
        return Response(parts.service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_handlers(app: FastAPI) -> None:
    errors.add_handlers(app)
    refusals: dict[type[RaysweepError], tuple[int, dict[str, str]]] = {
        BadToken: (401, {"WWW-Authenticate": "Bearer"}),
        ForeignRequest: (403, {}),
        TooManyRequests: (429, {"Retry-After": "60"}),
    }

    def refused(request: Request, error: Exception) -> JSONResponse:
        status, headers = refusals[type(error)]  # type: ignore[index]
        detail = {"detail": str(error), "kind": "ServerError", "field": None}
        return JSONResponse(detail, status_code=status, headers=headers)

    for kind in refusals:
        app.add_exception_handler(kind, refused)

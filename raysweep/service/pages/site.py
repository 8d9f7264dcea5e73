"""The pages of an application: their routes, and errors as pages."""

from fastapi import FastAPI

from raysweep.service.pages import (
    actions,
    comparison,
    errors,
    listing,
    login,
    parts,
    static,
    submission,
    sweep,
    tokens,
)
from raysweep.service.pages.cluster import ClusterLoad
from raysweep.service.service import Service

ROUTERS = (static, login, listing, sweep, parts, actions, comparison, submission, tokens)


def add_pages(app: FastAPI, service: Service) -> None:
    """Add the pages to an application; its handlers of errors must be there already."""
    app.state.cluster = ClusterLoad(service.jobs.load)
    for module in ROUTERS:
        app.include_router(module.router)
    errors.add_handlers(app)

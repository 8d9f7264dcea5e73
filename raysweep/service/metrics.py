"""Numbers of the service for Prometheus."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Counter as Count
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raysweep.service.catalogue import Catalogue
from raysweep.service.state import STATES, Entry
from raysweep.sweep.outcomes import ENDS


class SweepNumbers(Collector):
    """Numbers of the sweeps in a catalogue.

    Args:
        catalogue: The sweeps of the store.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of sweeps, runs, and packs in flight."""
        entries = self._catalogue.entries()
        yield _gauge(
            "raysweep_sweeps",
            "Number of sweeps by state",
            "state",
            {state: sum(entry.state == state for entry in entries) for state in STATES},
        )
        yield _gauge("raysweep_runs", "Number of ended runs by status", "status", _runs(entries))
        active = [entry for entry in entries if entry.state == "running"]
        packs = [pack for entry in active if entry.status for pack in entry.status.packs]
        yield GaugeMetricFamily("raysweep_packs", "Number of packs in flight", value=len(packs))
        planned = sum(max(0, (entry.runs["planned"] or 0) - entry.ended) for entry in active)
        yield GaugeMetricFamily(
            "raysweep_missing_runs", "Number of runs that running sweeps still miss", value=planned
        )
        left = {entry.name: entry.left_s for entry in active if entry.left_s is not None}
        yield _gauge("raysweep_left_seconds", "Seconds to the end of a sweep", "sweep", left)
        now = time.time()
        queued = [entry.submission for entry in entries if entry.state == "queued"]
        waits = [now - one.submitted_at for one in queued if one is not None]
        yield GaugeMetricFamily(
            "raysweep_waiting_seconds",
            "Seconds that the first of the queued sweeps has waited",
            value=max(waits, default=0.0),
        )


class Metrics:
    """Counters of the service, and numbers of its sweeps.

    Args:
        catalogue: The sweeps of the store.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(SweepNumbers(catalogue))
        self.requests = Count(
            "raysweep_requests", "Requests by status", ["status"], registry=self.registry
        )
        self.request_s = Count(
            "raysweep_request_seconds", "Seconds spent on requests", registry=self.registry
        )
        self.ends = Count(
            "raysweep_driver_ends",
            "Ends of drivers by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self.notifications = Count(
            "raysweep_notifications",
            "Notifications by outcome",
            ["outcome"],
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Return all numbers in the format of Prometheus."""
        return generate_latest(self.registry)


class CountedRequests:
    """Middleware that counts requests, and the seconds until their answers begin.

    Args:
        app: Application behind it.
        metrics: Counters of the service.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it."""
        began = time.monotonic()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(str(message["status"])).inc()
                self.metrics.request_s.inc(time.monotonic() - began)
            await send(message)

        await self.app(scope, receive, noted if scope["type"] == "http" else send)


def _gauge(name: str, meaning: str, label: str, values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _runs(entries: Iterable[Entry]) -> dict[str, int]:
    counts = dict.fromkeys(ENDS, 0)
    for entry in entries:
        for end, count in entry.ends.items():
            counts[end] += count
    return counts

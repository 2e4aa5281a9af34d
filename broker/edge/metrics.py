"""Metrics of one app in Prometheus' text format: counted while serving, read when somebody scrapes.

No label holds what a caller chose, a person or a session: a label's values are words of this program, of its
settings, and route templates. So nobody can make the series grow.

Sources: https://prometheus.io/docs/practices/naming/, https://prometheus.io/docs/instrumenting/exposition_formats/
and for HTTP https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ (checked 2026-11-20).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.edge.callers import bearer
from broker.edge.problems import (
    EDGE_PROBLEMS,
    ErrorResponder,
    NotAllowed,
    NotSignedIn,
    ProblemResponse,
    RolesNotInToken,
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
METHODS = frozenset(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
REFUSALS: tuple[type[Exception], ...] = (NotSignedIn, NotAllowed, RolesNotInToken)
OTHER = "other"
UNANSWERED = "none"

Gauges = Callable[[], Awaitable[Iterable[Metric]]]


class EdgeMetrics:
    """What both services count, in the registry of one app, to which each adds its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        durations = Histogram(
            "http_server_request_duration_seconds",
            "Requests, from the first byte to the end of the answer.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        refused = Counter(
            "engram_auth_failures",
            "Requests of whom nobody knows who they are, or who may not do that.",
            ["reason"],
            registry=self.registry,
        )
        # A label's child is looked up by its values once; what may come is bounded, so is what is kept.
        self._duration = cache(durations.labels)
        self._refused = {error: refused.labels(EDGE_PROBLEMS[error].name) for error in REFUSALS}

    def served(self, route: str, method: str, status: int | str, seconds: float) -> None:
        self._duration(route, method, status).observe(seconds)

    def with_refusals_counted(self, responders: Mapping[Any, ErrorResponder]) -> dict[Any, ErrorResponder]:
        """The same responders; those for refusals also count them by their problem's name."""
        return {**responders, **{error: self._counting(error, responders[error]) for error in REFUSALS}}

    def _counting(self, error: type[Exception], respond: ErrorResponder) -> ErrorResponder:
        async def count_and_respond(request: Request, exc: Exception) -> ProblemResponse:
            self._refused[error].inc()
            return await respond(request, exc)

        return count_and_respond


class Measured:
    """Stands around everything and measures each request by the template of its route.

    A route that is mounted twice counts as its first; what no route answers is ``other``.
    """

    def __init__(self, app: ASGIApp, metrics: EdgeMetrics, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = tuple(routes)  # kept, so that nothing else gets the identity of an endpoint
        self._templates = templates(self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | str = UNANSWERED

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, send_noting)
        finally:
            route = self._templates.get(id(scope.get("endpoint")), OTHER)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            self._metrics.served(route, method, status, time.perf_counter() - began)


def templates(routes: Iterable[BaseRoute]) -> dict[int, str]:
    """Who answers, by identity -> the first template that leads there.

    Inside a mount that has no such route it is Starlette's own router, which cannot be a key itself.
    """
    found: dict[int, str] = {}
    for endpoint, template in _walk(routes, ""):
        found.setdefault(id(endpoint), template)
    return found


def _walk(routes: Iterable[BaseRoute], prefix: str) -> Iterator[tuple[Any, str]]:
    for route in routes:
        path: str = prefix + getattr(route, "path", "")
        inner: Iterable[BaseRoute] | None = getattr(route, "routes", None)
        if inner is None:
            yield getattr(route, "endpoint", None), path
        else:
            yield from _walk(inner, path)


@dataclass(frozen=True, slots=True)
class Scraping:
    """Who may read the metrics, and what they are.

    With a ``token`` whoever bears it; without one everybody where ``is_open``, else nobody. ``gauges`` gives
    what is not counted but looked up when somebody asks.
    """

    registry: CollectorRegistry
    gauges: Gauges
    token: SecretStr | None
    is_open: bool

    def admit(self, request: Request[Any]) -> None:
        """Raises `NotSignedIn` without the token; where nobody may read, there is no such route."""
        if self.token is None:
            if self.is_open:
                return
            raise HTTPException(404)
        sent = (bearer(request) or "").encode(errors="replace")
        if not hmac.compare_digest(sent, self.token.get_secret_value().encode()):
            raise NotSignedIn("send Authorization: Bearer and the token of METRICS_TOKEN")

    async def text(self) -> bytes:
        return generate_latest(_Scrape(self.registry, list(await self.gauges())))


@dataclass(frozen=True, slots=True)
class _Scrape:
    """One scrape's samples, without the times at which each series began, which nobody asks for."""

    registry: CollectorRegistry
    gauges: list[Metric]

    def collect(self) -> Iterator[Metric]:
        for family in self.registry.collect():
            family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        yield from self.gauges


async def show_metrics(request: Request[Any]) -> Response:
    """``GET /metrics`` of either service."""
    scraping: Scraping = request.state["scraping"]
    scraping.admit(request)
    headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"}
    return Response(await scraping.text(), headers=headers)

"""Composition root of enrichment: settings in, ASGI app out. The only module that opens clients and files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import httpx
import structlog
from starlette.applications import Starlette
from starlette.types import ASGIApp

from broker.edge.audit.denials import with_denials_on_record
from broker.edge.audit.port import UNRECORDED, AuditFailed
from broker.edge.audit.recording import Audit
from broker.edge.audit.wiring import audit_of
from broker.edge.background import background
from broker.edge.callers import Callers, callers_for
from broker.edge.entra import Entra
from broker.edge.figures import Figures
from broker.edge.hardened import around
from broker.edge.jwks import KeysUnavailable
from broker.edge.limits import TOO_MANY, TooMany
from broker.edge.metrics import EdgeMetrics, Measured, Scraping
from broker.edge.mounting import exact
from broker.edge.openapi import api_route, document
from broker.edge.problems import ProblemType, handlers
from broker.edge.sharing import shared_limits_of
from broker.edge.tracing import Tracing, tracing_of
from enrichment.accepting import Accepting, People
from enrichment.delivery import Delivery
from enrichment.described import DESCRIBED
from enrichment.erasure import Erasure
from enrichment.erasure_on_record import ErasureOnRecord
from enrichment.grant_keys import Grants
from enrichment.memory.port import Memory, Unreachable
from enrichment.metrics import TurnMetrics, looked_up
from enrichment.outbox.port import Erased, Outbox, StorageFailed
from enrichment.quota import quota_of
from enrichment.reading import Reading, UnknownEpisode
from enrichment.routes import ROUTES, State
from enrichment.settings import Settings
from enrichment.sweep import Sweep
from enrichment.wiring import entra_of, listening, memory_of, on_record, outbox_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

PROBLEMS: dict[type[Exception], ProblemType] = {
    UnknownEpisode: ProblemType("unknown-episode", 404, "There is no such episode"),
    KeysUnavailable: ProblemType("grant-unverifiable", 503, "The grant cannot be checked now"),
    TooMany: TOO_MANY,
    StorageFailed: ProblemType("storage-failed", 503, "Turns cannot be stored now"),
    AuditFailed: UNRECORDED,
    Erased: ProblemType("erased", 410, "What this belongs to was erased"),
    Unreachable: ProblemType("memory-unreachable", 503, "Memory cannot be read now", retry_after_s=5),
}

DAY_S = 86_400.0

log = structlog.get_logger(__name__)


class Closing(Protocol):
    async def close(self) -> None: ...


def create_app(
    settings: Settings,
    *,
    memory: Callable[[Settings], Memory] | None = None,
    now: Callable[[], float] | None = None,
    exporter: SpanExporter | None = None,
) -> ASGIApp:
    """The enrichment service. Opens nothing and reads nothing until its lifespan starts.

    ``memory`` opens another memory than the settings choose. ``now`` (Unix seconds) is for tests; without it
    this machine's clock counts, and for an outbox in PostgreSQL the database's. ``exporter``: where spans go,
    for tests, whatever the settings say.
    """
    tracing, metrics = tracing_of(settings, "enrichment", exporter), EdgeMetrics()
    lifespan = _lifespan(settings, memory, now, tracing, metrics)
    responders = metrics.with_refusals_counted(with_denials_on_record(handlers(PROBLEMS)))
    described = [] if settings.environment.holds_people_s_data else [api_route(api)]
    routes = [*ROUTES, *described]
    app = exact(Starlette(routes=routes, lifespan=lifespan, exception_handlers=responders))
    return Measured(around(app, settings, ["GET", "POST", "DELETE"], tracing), metrics, routes)


def api() -> dict[str, Any]:
    """What ``GET /openapi.json`` answers."""
    return document("VoiceLive enrichment", [*ROUTES, api_route(api)], DESCRIBED, PROBLEMS)


def _lifespan(
    settings: Settings,
    memory: Callable[[Settings], Memory] | None,
    now: Callable[[], float] | None,
    tracing: Tracing,
    metrics: EdgeMetrics,
) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    clock, turns = now or time.time, TurnMetrics(metrics.registry)
    asked = turns.asked_zep

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with (
            tracing.opened(),
            httpx.AsyncClient(follow_redirects=False, trust_env=False) as http,
            outbox_of(settings, now) as outbox,
            _closing(memory(settings)) if memory else memory_of(settings, now=clock, asked=asked) as kept,
            audit_of(settings, "enrichment", on_record(settings), now=clock, tracing=tracing) as audit,
            shared_limits_of(settings) as shared,
        ):
            reading = Reading(outbox, kept, settings.recall_turns)
            recent = reading.recent
            delivery = Delivery(outbox, kept, changed=recent.forget, tracing=tracing, watch=turns)
            erasure = Erasure(outbox, kept, recent.forget, clock)
            sweep = Sweep(outbox, erasure, settings.data_retention_days * DAY_S)
            scraping = _scraping(settings, metrics, outbox, audit)
            async with (
                _people(settings, http, outbox, clock) as people,
                background(figures=_figures(scraping)),
                supervised("delivery", delivery.run()) as delivering,
                supervised("sweep", sweep.run()) as sweeping,
                supervised("listening", listening(outbox, delivery.wake, recent.forget_hashed)) as hearing,
            ):
                yield {
                    "people": people,
                    "quota": quota_of(settings, shared, clock),
                    "accepting": Accepting(outbox, delivery.wake, tracing, turns),
                    "reading": reading,
                    "outbox": outbox,
                    "memory": kept,
                    "delivery": delivery,
                    "delivering": delivering,
                    "beside": (sweeping, hearing),
                    "erasure": ErasureOnRecord(erasure, audit),
                    "audit": audit,
                    "scraping": scraping,
                    "now": clock,
                }

    return lifespan


@asynccontextmanager
async def _people(
    settings: Settings, http: httpx.AsyncClient, outbox: Outbox, now: Callable[[], float]
) -> AsyncIterator[People]:
    """Who may be behind a request; the keys that prove it are kept fresh meanwhile."""
    entra = entra_of(settings, http, now)
    grants = Grants(http, settings.grant_jwks_url, environment=settings.environment, now=now)
    async with background(
        sign_in=entra.keep_fresh() if entra else None,
        grant_keys=grants.keep_fresh() if settings.grant_jwks_url else None,
    ):
        yield People(grants, _callers(settings, entra), outbox)


def _scraping(settings: Settings, metrics: EdgeMetrics, outbox: Outbox, audit: Audit) -> Scraping:
    is_open = not settings.environment.holds_people_s_data
    return Scraping(metrics.registry, partial(looked_up, outbox, audit), settings.metrics_token, is_open)


def _figures(scraping: Scraping) -> Coroutine[Any, Any, None]:
    return Figures("enrichment", "/memory/enrich", scraping).run()


Closed = TypeVar("Closed", bound=Closing)


@asynccontextmanager
async def _closing(opened: Closed) -> AsyncIterator[Closed]:
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def supervised(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Runs the work beside the app. When it dies the log says so; readiness looks at the task."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report_end)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])  # how it ended has been reported


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        log.critical(f"{task.get_name()}.died", exc_info=task.exception())


def _callers(settings: Settings, entra: Entra | None) -> Callers:
    return callers_for(
        auth_required=settings.auth_required,
        development_tokens=settings.auth_dev_tokens,
        origins=settings.cors_origins,
        access_tokens=entra.tokens if entra else None,
    )

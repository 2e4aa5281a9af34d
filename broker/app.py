"""Composition root of the broker: settings in, ASGI app out. The only module that opens clients."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric
from starlette.applications import Starlette
from starlette.types import ASGIApp

from broker.agents import load_agents
from broker.described import DESCRIBED
from broker.edge.audit.denials import with_denials_on_record
from broker.edge.audit.port import UNRECORDED, AuditFailed
from broker.edge.audit.recording import Audit
from broker.edge.audit.wiring import audit_of
from broker.edge.background import background
from broker.edge.callers import Callers, callers_for
from broker.edge.door import Door
from broker.edge.entra import Entra
from broker.edge.figures import Figures
from broker.edge.grants import GrantSigner, load_public_keys, load_signing_key
from broker.edge.hardened import around
from broker.edge.limits import TOO_MANY, TooMany
from broker.edge.metrics import EdgeMetrics, Measured, Scraping
from broker.edge.mounting import exact
from broker.edge.openapi import api_route, document
from broker.edge.problems import ProblemType, handlers
from broker.edge.sharing import shared_limits_of
from broker.edge.tracing import Tracing, tracing_of
from broker.metrics import MintMetrics, looked_up
from broker.minting.attempt import Asking
from broker.minting.canary import Canary
from broker.minting.chain import MintChain
from broker.minting.credentials import Identity
from broker.minting.health import Health
from broker.minting.no_token import Misconfigured, OutOfTime, Throttled, Unavailable
from broker.minting.rows import failsafe_rows
from broker.minting.watch import Watch
from broker.opening import LiveSessions, MemoryOff, NotConfigured, Opening
from broker.page import page_headers, page_routes
from broker.quota import Quota
from broker.recall import NoRecall, Recall
from broker.routes import ROUTES, State, UnknownAgent
from broker.settings import Settings
from broker.upstream import Upstream, http_session
from broker.wiring import (
    domains_of,
    door_of,
    endpoints_of,
    entra_of,
    identity_of,
    nobody_s_session,
    on_record,
    quota_of,
    transcription_of,
    turn_detection_of,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

CONNECT_S = 1.0
ANSWER_S = 2.0

PROBLEMS: dict[type[Exception], ProblemType] = {
    UnknownAgent: ProblemType("unknown-agent", 404, "There is no such agent"),
    NotConfigured: ProblemType("voice-not-configured", 503, "Voice is not configured here"),
    MemoryOff: ProblemType("memory-off", 404, "There is no memory here"),
    Throttled: ProblemType("mint-throttled", 503, "The voice service is busy"),
    Unavailable: ProblemType("mint-unavailable", 503, "The voice service cannot be reached"),
    OutOfTime: ProblemType("mint-deadline", 504, "The voice service took too long"),
    AuditFailed: UNRECORDED,
    TooMany: TOO_MANY,
    Misconfigured: ProblemType("mint-misconfigured", 502, "The voice service refuses our configuration"),
}


def create_app(
    settings: Settings,
    *,
    now: Callable[[], float] = time.time,
    probing: bool = True,
    exporter: SpanExporter | None = None,
) -> ASGIApp:
    """The broker. Opens nothing and reads nothing until its lifespan starts.

    ``probing``: whether the canary asks rows by itself; off where a test counts what callers ask.
    ``exporter``: where spans go, for tests, whatever the settings say.
    """
    tracing, metrics = tracing_of(settings, "broker", exporter), EdgeMetrics()
    lifespan = _lifespan(settings, now, tracing, metrics, probing=probing)
    page = page_routes(_page_headers(settings)) if settings.serve_page else []
    responders = metrics.with_refusals_counted(with_denials_on_record(handlers(PROBLEMS)))
    described = [] if settings.environment.holds_people_s_data else [api_route(api)]
    routes = [*ROUTES, *described, *page]
    app = exact(Starlette(routes=routes, lifespan=lifespan, exception_handlers=responders))
    return Measured(around(app, settings, ["GET", "POST"], tracing), metrics, routes)


def api() -> dict[str, Any]:
    """What ``GET /openapi.json`` answers."""
    return document("VoiceLive broker", [*ROUTES, api_route(api)], DESCRIBED, PROBLEMS)


def _lifespan(
    settings: Settings, now: Callable[[], float], tracing: Tracing, metrics: EdgeMetrics, *, probing: bool
) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    mints = MintMetrics(metrics.registry)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with (
            tracing.opened(),
            http_session() as azure,
            http_session() as enrichment,
            http_session() as sign_in,
            identity_of(settings) as identity,
            audit_of(settings, "broker", on_record(settings), now=now, tracing=tracing) as audit,
            shared_limits_of(settings) as shared,
        ):
            ask = Upstream(azure, connect_s=CONNECT_S, answer_s=ANSWER_S)
            chain = _chain(settings, identity, ask, tracing, mints)
            canary = Canary(chain, nobody_s_session(settings)) if chain else None
            entra = entra_of(settings, Upstream(sign_in, connect_s=CONNECT_S, answer_s=ANSWER_S), now)
            work = background(
                sign_in=entra.keep_fresh() if entra else None,
                identity=identity.keep_fresh() if identity else None,
                canary=canary.run() if canary and probing else None,
            )
            async with work:
                read = Upstream(enrichment, connect_s=CONNECT_S, answer_s=ANSWER_S)
                quota = quota_of(settings, shared, now)
                recall = _recall(settings, read, tracing)
                opening = _opening(settings, chain, recall, quota, audit, now)
                scraping = _scraping(settings, metrics, opening)
                callers, door = _callers(settings, entra), door_of(settings, now)
                async with background(figures=Figures("broker", "/realtime/token", scraping).run()):
                    yield _state(settings, opening, canary, callers, door, scraping)

    return lifespan


def _opening(
    settings: Settings,
    chain: MintChain | None,
    recall: Recall | NoRecall,
    quota: Quota,
    audit: Audit,
    now: Callable[[], float],
) -> Opening:
    return Opening(
        agents=load_agents(settings.azure_voicelive_voice),
        signer=_signer(settings, now),
        recall=recall,
        chain=chain,
        turn_detection=turn_detection_of(settings),
        transcription=transcription_of(settings),
        greeting=settings.enable_proactive_greeting,
        enrich_url=settings.enrichment_url and f"{settings.enrichment_url}/memory/enrich",
        live=LiveSessions(now),
        quota=quota,
        call_limit_s=settings.call_limit_s,
        audit=audit,
        ice_servers=[server.for_browser() for server in settings.ice_servers],
    )


def _scraping(settings: Settings, metrics: EdgeMetrics, opening: Opening) -> Scraping:
    async def gauges() -> Iterable[Metric]:
        return looked_up(opening.live, opening.chain, opening.audit)

    is_open = not settings.environment.holds_people_s_data
    return Scraping(metrics.registry, gauges, settings.metrics_token, is_open)


def _state(
    settings: Settings,
    opening: Opening,
    canary: Canary | None,
    callers: Callers,
    door: Door,
    scraping: Scraping,
) -> State:
    return {
        "opening": opening,
        "callers": callers,
        "door": door,
        "agents": opening.agents,
        "signer": opening.signer,
        "live": opening.live,
        "chain": opening.chain,
        "canary": canary,
        "endpoint": settings.azure_voicelive_endpoint,
        "model": settings.azure_voicelive_model,
        "memory_url": settings.enrichment_url,
        "audit": opening.audit,
        "scraping": scraping,
    }


def _callers(settings: Settings, entra: Entra | None) -> Callers:
    return callers_for(
        auth_required=settings.auth_required,
        development_tokens=settings.auth_dev_tokens,
        origins=settings.cors_origins,
        access_tokens=entra.tokens if entra else None,
    )


def _chain(
    settings: Settings, identity: Identity | None, azure: Upstream, tracing: Tracing, watch: Watch
) -> MintChain | None:
    rows = failsafe_rows(domains_of(settings, identity), settings.azure_voicelive_api_version)
    if not rows:
        return None
    ask = Asking(azure, filtered=settings.webrtc_filter)
    health = Health(rows, now=time.monotonic)
    return MintChain(health, ask, now=time.monotonic, tracing=tracing, watch=watch)


def _recall(settings: Settings, enrichment: Upstream, tracing: Tracing) -> Recall | NoRecall:
    if settings.enrichment_url is None:
        return NoRecall()
    url = f"{settings.enrichment_url}/memory/context"
    return Recall(enrichment, url, budget_s=settings.recall_budget_ms / 1000, tracing=tracing)


def _signer(settings: Settings, now: Callable[[], float]) -> GrantSigner:
    key, others = settings.grant_signing_key, settings.grant_other_keys
    return GrantSigner(
        load_signing_key(key.get_secret_value() if key else None),
        others=load_public_keys(others) if others else (),
        environment=settings.environment,
        now=now,
    )


def _page_headers(settings: Settings) -> dict[str, str]:
    memory = [settings.enrichment_url] if settings.enrichment_url else []
    return page_headers([*endpoints_of(settings), *memory])

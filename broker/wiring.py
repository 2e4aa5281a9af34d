"""What the settings mean in parts: domains, credentials, chain, memory. Half of the composition root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import SecretStr

from broker.agents import DEFAULT_AGENT, load_agents
from broker.edge.door import Door, OpenDoor, WatchedDoor
from broker.edge.entra import Entra
from broker.edge.jwks import NotFetched
from broker.edge.limits import Kept, Limits, Shared
from broker.edge.settings import Environment
from broker.minting.credentials import ApiKey, Credential, Identity, TokenSource
from broker.minting.domains import Domain
from broker.minting.strategies import Strategy
from broker.quota import MostMints, NoQuota, PerPerson, Quota
from broker.session import SessionSpec, Transcription, TurnDetection, session_for
from broker.settings import Settings
from broker.upstream import NoAnswer, Upstream

# A misconfigured identity endpoint accepts and never answers; the SDK's defaults then wait for minutes.
# Measured with azure-identity 1.27.0: still hanging after 45 s by default, 1.0 s with these.
IMPATIENT: dict[str, Any] = {"connection_timeout": 1, "read_timeout": 2, "retry_total": 1}

log = structlog.get_logger(__name__)


def domains_of(settings: Settings, identity: Identity | None) -> list[Domain]:
    """The configured resources, the first one first; none without an endpoint."""
    if settings.azure_voicelive_endpoint is None:
        return []
    first = Domain(
        settings.azure_voicelive_region,
        settings.azure_voicelive_endpoint,
        settings.azure_voicelive_model,
        _credentials(settings, identity, settings.azure_voicelive_key, settings.azure_voicelive_key_2),
        settings.azure_voicelive_project_name,
    )
    further = [
        Domain(
            domain.region,
            domain.endpoint,
            domain.model or settings.azure_voicelive_model,
            _credentials(settings, identity, domain.key, domain.key_2),
            domain.project,
        )
        for domain in settings.azure_voicelive_domains
    ]
    return [first, *further]


def endpoints_of(settings: Settings) -> list[str]:
    """Every address a call may go to: a token works only on the host that minted it."""
    domains = domains_of(settings, None)
    return sorted({domain.endpoint_of(strategy.host) for domain in domains for strategy in Strategy})


def _credentials(
    settings: Settings, identity: Identity | None, *keys: SecretStr | None
) -> tuple[Credential, ...]:
    """Identity before keys; keys only where they are allowed, and there it is said loudly."""
    found: list[Credential] = [identity] if identity else []
    is_strict = settings.environment in {Environment.UAT, Environment.PRODUCTION}
    if is_strict and not settings.mint_allow_key:
        return tuple(found)
    names = ("key", "key 2")
    given = [ApiKey(key, name) for name, key in zip(names, keys, strict=True) if key is not None]
    if is_strict and given:
        log.warning("key.allowed", environment=settings.environment)
    return (*found, *given)


@asynccontextmanager
async def identity_of(settings: Settings) -> AsyncIterator[Identity | None]:
    """The configured Entra identity, its SDK client open; None when there is none."""
    async with token_source_of(settings) as source:
        yield None if source is None else Identity(source, scope=settings.azure_voicelive_scope)


@asynccontextmanager
async def token_source_of(settings: Settings) -> AsyncIterator[TokenSource | None]:
    """Where the configured identity gets its access tokens from; None when there is none."""
    kind = settings.azure_voicelive_identity
    if kind == "off":
        yield None
        return
    async with _sdk_s_source(settings, kind) as source:
        yield source


def _sdk_s_source(settings: Settings, kind: str) -> AbstractAsyncContextManager[TokenSource]:
    # Imported only where there is an identity: a broker with a key spares 16 MB.
    from azure.identity import aio  # noqa: PLC0415

    client_id, tenant_id = settings.azure_client_id, settings.azure_tenant_id or ""
    if kind == "managed":
        return aio.ManagedIdentityCredential(client_id=client_id, **IMPATIENT)
    if kind == "cli":
        return aio.AzureCliCredential()
    secret = settings.azure_client_secret.get_secret_value() if settings.azure_client_secret else ""
    return aio.ClientSecretCredential(tenant_id, client_id or "", secret, **IMPATIENT)


def entra_of(settings: Settings, upstream: Upstream, now: Callable[[], float]) -> Entra | None:
    """The way in for access tokens, when one is registered; ``now`` gives Unix seconds."""

    async def fetch(url: str) -> bytes:
        try:
            answer = await upstream.ask("GET", url, {"Accept": "application/json"})
        except NoAnswer as exc:
            raise NotFetched from exc
        if answer.status != HTTPStatus.OK:
            raise NotFetched
        return answer.body

    registration = settings.registration
    return None if registration is None else Entra(registration, fetch, now=now)


def nobody_s_session(settings: Settings) -> SessionSpec:
    """What a probe asks for: a session like a caller's, with nobody's memory in it."""
    agent = load_agents(settings.azure_voicelive_voice)[DEFAULT_AGENT]
    detection, transcription = turn_detection_of(settings), transcription_of(settings)
    return session_for(agent, [], turn_detection=detection, transcription=transcription)


def on_record(settings: Settings) -> dict[str, Any]:
    """What the audit says of these settings at start: how people are proved, and we ourselves to Azure."""
    return {
        "auth_required": settings.auth_required,
        "auth_dev_tokens": settings.auth_dev_tokens,
        "azure_voicelive_identity": settings.azure_voicelive_identity,
        "mint_allow_key": settings.mint_allow_key,
    }


def turn_detection_of(settings: Settings) -> TurnDetection:
    return TurnDetection(
        settings.vad_threshold, settings.vad_prefix_padding_ms, settings.vad_silence_duration_ms
    )


def transcription_of(settings: Settings) -> Transcription | None:
    model = settings.transcription_model
    return None if model is None else Transcription(model, settings.transcription_language)


def quota_of(settings: Settings, shared: Shared | None, now: Callable[[], float]) -> Quota:
    """What callers may mint; everything where limits are off."""
    if not settings.has_limits:
        return NoQuota(now)
    most = MostMints(
        per_minute=settings.limit_person_per_minute,
        per_hour=settings.limit_person_per_hour,
        sessions=settings.limit_person_sessions,
        minutes_a_day=settings.limit_person_minutes_a_day,
        all_per_minute=settings.limit_all_per_minute,
        grants_per_minute=settings.limit_person_grants_per_minute,
    )
    return PerPerson(Limits(Kept(now), shared), most)


def door_of(settings: Settings, now: Callable[[], float]) -> Door:
    """What stands before signing in."""
    if not settings.has_limits:
        return OpenDoor()
    return WatchedDoor(now, per_minute=settings.limit_address_per_minute)

"""The audit that the settings ask for, open. A part of both composition roots."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from broker.edge.audit.anchoring import Anchoring
from broker.edge.audit.entries import Action, Fields, entry
from broker.edge.audit.files import FileAnchors, FileSink
from broker.edge.audit.port import Anchors, AuditFailed, Sink
from broker.edge.audit.recording import Audit
from broker.edge.audit.sealing import Head, Seal, new_chain
from broker.edge.audit.settings import folder_of
from broker.edge.audit.writer import Writer
from broker.edge.background import background
from broker.edge.settings import SharedSettings
from broker.edge.tracing import Tracing

log = structlog.get_logger(__name__)


@asynccontextmanager
async def audit_of(
    settings: SharedSettings,
    service: str,
    config: Fields,
    *,
    now: Callable[[], float] = time.time,
    tracing: Tracing | None = None,
) -> AsyncIterator[Audit]:
    """The audit of one process, until leaving; one that keeps nothing where none is asked for.

    ``config`` is what its first line says of the settings: nothing secret. A place that cannot be written now
    ends nobody's start: what must be on record is refused until it can.
    """
    if settings.audit_key is None or settings.audit_url is None or not settings.audit_log_enabled:
        yield Audit()
        return
    chain, seal = new_chain(service, now()), Seal(settings.audit_key.get_secret_value().encode())
    about = {"key": seal.key_name, "environment": settings.environment.value, **config}
    first = entry(Action.CONFIG_START, config=about)
    if settings.audit_anchor_url is None and settings.environment.holds_people_s_data:
        log.warning("audit.unanchored", reason="AUDIT_ANCHOR_URL is not set: nobody can tell a cut tail")
    async with anchors_of(settings) as anchors:
        sink = sink_of(settings.audit_url.get_secret_value(), chain)
        writer = Writer(sink, seal, Head(chain), first, now=now)
        async with _anchored(writer, anchors, now):
            yield Audit(writer, tracing=tracing)


@asynccontextmanager
async def _anchored(writer: Writer, anchors: Anchors | None, now: Callable[[], float]) -> AsyncIterator[None]:
    """The chain begun, anchored meanwhile, and its last line too once it is closed."""
    anchoring = Anchoring(anchors, lambda: writer.head, now) if anchors else None
    try:
        await _begin(writer)
        async with background(anchoring=anchoring.run() if anchoring else None):
            yield
    finally:
        await writer.close()
        if anchoring:
            await anchoring.anchor()


def sink_of(url: str, chain: str) -> Sink:
    """The place that ``AUDIT_URL`` names."""
    folder = folder_of(url)
    if folder is not None:
        return FileSink(folder, chain)
    from broker.edge.audit.postgres import PostgresSink  # noqa: PLC0415 - psycopg is an extra

    return PostgresSink(url)


async def _begin(writer: Writer) -> None:
    """The first line is written by itself before any other: an empty write is enough."""
    try:
        await Audit(writer).write()
    except AuditFailed as exc:
        log.error("audit.unwritable", reason=str(exc))


@asynccontextmanager
async def anchors_of(settings: SharedSettings) -> AsyncIterator[Anchors | None]:
    """The place that ``AUDIT_ANCHOR_URL`` names; None when there is none."""
    url, folder = settings.audit_anchor_url, folder_of(settings.audit_anchor_url or "")
    if folder or url is None:
        yield FileAnchors(folder) if folder else None
        return
    # Imported only where there are blobs: others spare the memory.
    import aiohttp  # noqa: PLC0415
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415

    from broker.edge.audit.blobs import BlobAnchors, access_token_of  # noqa: PLC0415

    async with (
        ManagedIdentityCredential(client_id=settings.audit_anchor_client_id) as identity,
        aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        yield BlobAnchors(http, url, access_token_of(identity))

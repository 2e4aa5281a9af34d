"""What the settings mean in parts: which memory, which outbox. Half of the composition root."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import httpx

from broker.edge.entra import Entra
from enrichment.fetching import fetch_key_set
from enrichment.memory.addresses import Addresses, SqliteAddresses
from enrichment.memory.embedded import EmbeddedMemory
from enrichment.memory.port import Memory
from enrichment.memory.zep import ZepMemory
from enrichment.memory.zep_wire import ANSWER_S, refuse
from enrichment.metrics import CountedTransport
from enrichment.outbox.port import Outbox
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.settings import Settings

CONNECTIONS = 20  # to a Zep that may be small; who waits for one waits no longer than for an answer
CONNECT_S = 3.0


Asked = Callable[[str], None]


class Opening(Protocol):
    """What must be opened before use, and closed also when that failed."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


Shared = TypeVar("Shared", bound=Opening)


@runtime_checkable
class Listening(Protocol):
    """An outbox that several processes share, and that tells when another of them has accepted something."""

    async def listen(self, wake: Callable[[], None], forgotten: Callable[[str | None], None]) -> None: ...


@asynccontextmanager
async def outbox_of(settings: Settings, now: Callable[[], float] | None) -> AsyncIterator[Outbox]:
    """The outbox that ``DATABASE_URL`` asks for, open.

    ``now`` (Unix seconds) is a test's; without it this machine's clock counts, in PostgreSQL the database's.
    """
    outbox = (
        await _postgres(settings, now) if settings.outbox_engine == "postgres" else _sqlite(settings, now)
    )
    try:
        yield outbox
    finally:
        await outbox.close()


def _sqlite(settings: Settings, now: Callable[[], float] | None) -> Outbox:
    ballast_bytes = settings.outbox_ballast_mb * 1024 * 1024
    return SqliteOutbox(settings.outbox_path, now=now or time.time, ballast_bytes=ballast_bytes)


async def _postgres(settings: Settings, now: Callable[[], float] | None) -> Outbox:
    from enrichment.outbox.postgres import PostgresOutbox  # noqa: PLC0415 - psycopg is an extra

    assert settings.database_url is not None  # noqa: S101 - for the type checker: it named the engine
    return await _opened(PostgresOutbox(settings.database_url.get_secret_value(), now=now))


async def _opened(resource: Shared) -> Shared:
    """The resource, open; when that fails, or somebody stops us meanwhile, closed again."""
    async with AsyncExitStack() as failed:
        failed.push_async_callback(resource.close)
        await resource.open()
        failed.pop_all()
    return resource


async def listening(
    outbox: Outbox, wake: Callable[[], None], forgotten: Callable[[str | None], None]
) -> None:
    """Work beside the requests: hear what other replicas accept, and of whom (hashed) they forgot something.

    An outbox that nobody shares has no news.
    """
    if isinstance(outbox, Listening):
        await outbox.listen(wake, forgotten)
    await asyncio.Event().wait()


@asynccontextmanager
async def memory_of(
    settings: Settings, *, now: Callable[[], float] = time.time, asked: Asked | None = None
) -> AsyncIterator[Memory]:
    """The memory that is chosen, open until leaving. ``now``: Unix seconds; ``asked``: see `zep_http`."""
    memory = await _open_memory(settings, now, asked)
    try:
        yield memory
    finally:
        await memory.close()


async def _open_memory(settings: Settings, now: Callable[[], float], asked: Asked | None) -> Memory:
    """It closes whatever was opened for it."""
    url, key = settings.zep_api_url, settings.zep_api_key
    if settings.memory_backend == "zep" and url and key:
        return ZepMemory(zep_http(asked), url, key.get_secret_value(), now=now)
    if settings.memory_backend == "zep-cloud" and key:
        # The SDK is an extra: it may not be there.
        from enrichment.memory.zep_cloud import URL, ZepCloudMemory  # noqa: PLC0415

        addresses = await _open_addresses(settings, now)
        return ZepCloudMemory(zep_http(asked), key.get_secret_value(), addresses, url=url or URL, now=now)
    return EmbeddedMemory(settings.memory_path, now=now)


async def _open_addresses(settings: Settings, now: Callable[[], float]) -> Addresses:
    """Where the outbox is: a replica without a disk of its own would lose them."""
    if settings.outbox_engine == "sqlite" or settings.database_url is None:
        return SqliteAddresses(settings.addresses_path, now=now)
    from enrichment.memory.addresses_postgres import PostgresAddresses  # noqa: PLC0415 - psycopg is an extra

    return await _opened(PostgresAddresses(settings.database_url.get_secret_value()))


def entra_of(settings: Settings, http: httpx.AsyncClient, now: Callable[[], float]) -> Entra | None:
    """The way in for access tokens, when one is registered; ``now`` gives Unix seconds."""
    registration = settings.registration
    return None if registration is None else Entra(registration, partial(fetch_key_set, http), now=now)


def on_record(settings: Settings) -> dict[str, Any]:
    """What the audit says of these settings: how people are proved, and where what they say is kept."""
    return {
        "auth_required": settings.auth_required,
        "auth_dev_tokens": settings.auth_dev_tokens,
        "outbox": settings.outbox_engine,
        "memory_backend": settings.memory_backend,
        "data_retention_days": settings.data_retention_days,
    }


def zep_http(asked: Asked | None = None) -> httpx.AsyncClient:
    """What a Zep is asked with: explicit timeouts, no redirects, no proxy of this machine, and nothing but
    success gets through it. ``asked`` is told how each request ended."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
    return httpx.AsyncClient(
        transport=CountedTransport(transport, asked) if asked else transport,
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"response": [refuse]},
    )

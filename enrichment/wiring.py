"""What the settings mean in parts: which memory. Half of the composition root."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from enrichment.memory.addresses import SqliteAddresses
from enrichment.memory.embedded import EmbeddedMemory
from enrichment.memory.port import Memory
from enrichment.memory.zep import ZepMemory
from enrichment.memory.zep_wire import ANSWER_S, refuse
from enrichment.settings import Settings

CONNECTIONS = 20  # to a Zep that may be small; who waits for one waits no longer than for an answer
CONNECT_S = 3.0


@asynccontextmanager
async def memory_of(settings: Settings, *, now: Callable[[], float] = time.time) -> AsyncIterator[Memory]:
    """The memory that is chosen, open until leaving. ``now`` gives Unix seconds."""
    memory = open_memory(settings, now)
    try:
        yield memory
    finally:
        await memory.close()


def open_memory(settings: Settings, now: Callable[[], float] = time.time) -> Memory:
    """Opens the memory that is chosen; it closes whatever was opened for it."""
    url, key = settings.zep_api_url, settings.zep_api_key
    if settings.memory_backend == "zep" and url and key:
        return ZepMemory(zep_http(), url, key.get_secret_value(), now=now)
    if settings.memory_backend == "zep-cloud" and key:
        # The SDK is an extra: it may not be there.
        from enrichment.memory.zep_cloud import URL, ZepCloudMemory  # noqa: PLC0415

        addresses = SqliteAddresses(settings.addresses_path, now=now)
        return ZepCloudMemory(zep_http(), key.get_secret_value(), addresses, url=url or URL, now=now)
    return EmbeddedMemory(settings.memory_path, now=now)


def zep_http() -> httpx.AsyncClient:
    """What a Zep is asked with: explicit timeouts, no redirects, no proxy of this machine, and nothing but
    success gets through it."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=CONNECTIONS),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"response": [refuse]},
    )

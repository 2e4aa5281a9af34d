"""What replicas share of their limits, opened where the settings name a place for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.edge.limits import Shared
from broker.edge.settings import SharedSettings


@asynccontextmanager
async def shared_limits_of(settings: SharedSettings) -> AsyncIterator[Shared | None]:
    """The store of ``LIMITS_URL``, until leaving; None without one. It need not answer for us to start."""
    if settings.limits_url is None or not settings.has_limits:
        yield None
        return
    from broker.edge.postgres_limits import PostgresLimits  # noqa: PLC0415 - psycopg is an extra

    store = PostgresLimits(settings.limits_url.get_secret_value())
    await store.open()
    try:
        yield store
    finally:
        await store.close()

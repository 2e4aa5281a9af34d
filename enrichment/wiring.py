"""What the settings mean in parts. Half of the composition root."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from enrichment.outbox.port import Outbox
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.settings import Settings


@runtime_checkable
class Listening(Protocol):
    """An outbox that several processes share, and that tells when another of them has accepted something."""

    async def listen(self, wake: Callable[[], None]) -> None: ...


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
    outbox = PostgresOutbox(settings.database_url.get_secret_value(), now=now)
    try:
        await outbox.open()
    except BaseException:
        await outbox.close()
        raise
    return outbox


async def listening(outbox: Outbox, wake: Callable[[], None]) -> None:
    """Work beside the requests: hear what other replicas accept. An outbox that nobody shares has no news."""
    if isinstance(outbox, Listening):
        await outbox.listen(wake)
    await asyncio.Event().wait()

"""What the settings mean in parts. Half of the composition root."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, runtime_checkable

from enrichment.outbox.port import Outbox
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.settings import Settings


@runtime_checkable
class Listening(Protocol):
    """An outbox that several processes share, and that tells when another of them has accepted something."""

    async def listen(self, wake: Callable[[], None]) -> None: ...


@asynccontextmanager
async def outbox_of(settings: Settings, now: Callable[[], float] | None) -> AsyncIterator[Outbox]:
    """The outbox that ``DATABASE_URL`` asks for, open. ``now``: see `create_app`."""
    outbox = (
        await _postgres(settings, now) if settings.outbox_engine == "postgres" else _sqlite(settings, now)
    )
    try:
        yield outbox
    finally:
        await outbox.close()


def _sqlite(settings: Settings, now: Callable[[], float] | None) -> Outbox:
    return SqliteOutbox(settings.outbox_path, now=now or time.time)


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


def listening(outbox: Outbox, wake: Callable[[], None]) -> Coroutine[Any, Any, None] | None:
    """Work beside the requests: hear what other replicas accept. None for an outbox that nobody shares."""
    return outbox.listen(wake) if isinstance(outbox, Listening) else None

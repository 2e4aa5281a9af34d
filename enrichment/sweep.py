"""What time brings about: erasures that could not be finished, and what has been kept long enough."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from enrichment.erasure import Erasure
from enrichment.outbox.port import Outbox, StorageFailed

ORDERS_S = 10.0  # between two looks at unfinished erasures
RETENTION_S = 3_600.0
AT_ONCE = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Forgets sessions that nobody wrote to for ``keep_s`` seconds, by the outbox's clock."""

    outbox: Outbox
    erasure: Erasure
    keep_s: float

    async def run(self) -> None:
        """Runs for ever."""
        loop = asyncio.get_running_loop()
        due_at = loop.time()
        while True:
            try:
                await self.erasure.carry_out()
                if loop.time() >= due_at:
                    await self.expire()
                    due_at = loop.time() + RETENTION_S
            except StorageFailed as exc:
                log.warning("sweep.waits", error=type(exc).__name__)
            await asyncio.sleep(ORDERS_S)

    async def expire(self) -> int:
        """How many sessions were too old. The outbox lets them go with an order for memory to forget them.

        In this order nobody who writes to such a session again loses anything: what is new waits in the
        outbox until memory has forgotten what was old.
        """
        count = 0
        while taken_out := await self.outbox.expire(self.keep_s, AT_ONCE):
            count += taken_out
            await self.erasure.carry_out()
        await self.outbox.expire_tombstones(self.keep_s)
        if count:
            log.info("sweep.expired", sessions=count)
        return count

"""What time brings about: erasures that could not be finished, and what has been kept long enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from enrichment.erasure import Erasure
from enrichment.memory.port import ForgottenLater, Memory, Unreachable
from enrichment.outbox.port import Outbox, StorageFailed

ORDERS_S = 10.0  # between two looks at unfinished erasures
RETENTION_S = 3_600.0
AT_ONCE = 100
FORGET_S = 25.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Forgets sessions that nobody wrote to for ``keep_s`` seconds. ``now`` gives Unix seconds."""

    outbox: Outbox
    memory: Memory
    erasure: Erasure
    keep_s: float
    now: Callable[[], float] = time.time

    async def run(self) -> None:
        """Runs for ever."""
        due_at = self.now()
        while True:
            try:
                await self.erasure.carry_out()
                if self.now() >= due_at:
                    await self.expire()
                    due_at = self.now() + RETENTION_S
            except (StorageFailed, Unreachable, ForgottenLater, TimeoutError) as exc:
                log.warning("sweep.waits", error=type(exc).__name__)
            await asyncio.sleep(ORDERS_S)

    async def expire(self) -> int:
        """How many sessions were too old. From memory first: what is left in the outbox is tried again."""
        before, count = self.now() - self.keep_s, 0
        while sessions := await self.outbox.idle_sessions(before, AT_ONCE):
            for person, session_id in sessions:
                async with asyncio.timeout(FORGET_S):
                    await self.memory.forget_session(person, session_id)
                count += await self.outbox.expire(person, session_id, before)
        await self.outbox.expire_tombstones(before)
        if count:
            log.info("sweep.expired", accepted=count)
        return count

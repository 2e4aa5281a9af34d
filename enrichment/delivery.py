"""From the outbox into memory: claim, remember, settle. One session in order, sessions side by side.

The only place that repeats a delivery; every SDK's own retrying is switched off.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from enrichment.database import StorageFailed
from enrichment.memory.port import Memory, Rejected, Unreachable
from enrichment.outbox.port import Claim, Outbox

SIDE_BY_SIDE = 8
IDLE_S = 5.0  # how long to sleep at most when nothing is known to be due: leases of the dead run out unseen
REMEMBER_S = 20.0  # less than a lease
LONGEST_BACKOFF_S = 300.0

log = structlog.get_logger(__name__)


class Delivery:
    """Delivers what is due until cancelled. ``last_error`` names the class of the last failure."""

    def __init__(
        self,
        outbox: Outbox,
        memory: Memory,
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._outbox = outbox
        self._memory = memory
        self._jitter = jitter
        self._news = asyncio.Event()
        self.last_error: str | None = None

    def wake(self) -> None:
        """Something was accepted."""
        self._news.set()

    async def run(self) -> None:
        """Runs for ever. If it ends by itself that is a bug, and readiness must say so."""
        async with asyncio.TaskGroup() as group:
            for number in range(SIDE_BY_SIDE):
                group.create_task(self._deliver_for_ever(), name=f"delivery {number}")

    async def _deliver_for_ever(self) -> None:
        while True:
            self._news.clear()
            try:
                if not await self.deliver_one():
                    await self._wait()
            except StorageFailed as exc:  # a full disk: what is accepted stays, and comes later
                self.last_error = type(exc).__name__
                log.error("outbox.unwritable", error=type(exc).__name__)
                await asyncio.sleep(IDLE_S)

    async def _wait(self) -> None:
        due_s = await self._outbox.next_due_s()
        try:
            async with asyncio.timeout(IDLE_S if due_s is None else min(due_s, IDLE_S)):
                await self._news.wait()
        except TimeoutError:
            return

    async def deliver_one(self) -> bool:
        """Deliver the oldest due turns of one session; False when nothing was due. This is the pipeline."""
        claim = await self._outbox.claim()
        if claim is None:
            return False
        try:
            async with asyncio.timeout(REMEMBER_S):
                await self._memory.remember(claim.person, claim.session_id, claim.turns)
        except Rejected as exc:
            await self._park(claim, exc)
        except Unreachable as exc:
            await self._postpone(claim, str(exc), exc.retry_after_s)
        except TimeoutError:
            await self._postpone(claim, "memory took too long", None)
        else:
            await self._outbox.delivered(claim)
        return True

    async def _park(self, claim: Claim, exc: Rejected) -> None:
        self.last_error = type(exc).__name__
        log.error("turn.parked", session_id=claim.session_id, turn_id=exc.turn_id, reason=str(exc))
        await self._outbox.park(claim, exc.turn_id, reason=str(exc))

    async def _postpone(self, claim: Claim, reason: str, retry_after_s: float | None) -> None:
        self.last_error = Unreachable.__name__
        delay_s = self._jitter(0, backoff_s(claim.attempts)) if retry_after_s is None else retry_after_s
        log.warning("turn.postponed", session_id=claim.session_id, reason=reason, delay_s=round(delay_s, 1))
        await self._outbox.postpone(claim, delay_s=delay_s, reason=reason)


def backoff_s(attempts: int) -> float:
    """The longest wait after so many failures in a row: 1 s, doubled each time, at most 5 minutes."""
    return min(LONGEST_BACKOFF_S, 2.0 ** min(attempts, 16))

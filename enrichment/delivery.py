"""From the outbox into memory: claim, remember, settle. One session in order, sessions side by side.

The only place that repeats a delivery; every SDK's own retrying is switched off.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import structlog

from enrichment.database import StorageFailed
from enrichment.memory.port import Memory, Rejected, Unreachable
from enrichment.outbox.port import Claim, Outbox

SIDE_BY_SIDE = 8
IDLE_S = 5.0  # how long to sleep at most when nothing is known to be due: leases of the dead run out unseen
REMEMBER_S = 20.0  # less than a lease
RELEASE_S = 2.0
LONGEST_BACKOFF_S = 300.0

log = structlog.get_logger(__name__)


class Delivery:
    """Delivers what is due until cancelled. ``last_error`` names the class of the last failure.

    ``changed`` is told whose memory is not what it was, or may not be.
    """

    def __init__(
        self,
        outbox: Outbox,
        memory: Memory,
        *,
        changed: Callable[[str], None] = lambda _person: None,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._outbox = outbox
        self._memory = memory
        self._changed = changed
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
        claim = await self._claim()
        if claim is None:
            return False
        try:
            async with asyncio.timeout(REMEMBER_S):
                await self._memory.remember(claim.person, claim.session_id, claim.turns)
        except asyncio.CancelledError:
            await self._release(claim)
            raise
        except Rejected as exc:
            await self._park(claim, exc)
        except Unreachable as exc:
            await self._postpone(claim, exc, str(exc), exc.retry_after_s)
        except TimeoutError as exc:
            await self._postpone(claim, exc, "memory took too long")
        except Exception as exc:
            log.error("memory.broke", session_id=claim.session_id, exc_info=exc)
            await self._postpone(claim, exc, type(exc).__name__)  # its text may quote what was said
        else:
            await self._outbox.delivered(claim)
        finally:
            self._changed(claim.person)
        return True

    async def _claim(self) -> Claim | None:
        """A claim; when we are cancelled meanwhile, one that nobody will deliver is given back."""
        claiming = asyncio.ensure_future(self._outbox.claim())
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(StorageFailed):
                claim = await claiming
                if claim is not None:
                    await self._release(claim)
            raise

    async def _release(self, claim: Claim) -> None:
        """At the end: due again at once, so that whoever starts next need not wait for the lease."""
        with suppress(StorageFailed, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await asyncio.shield(self._outbox.postpone(claim, delay_s=0, reason="ended meanwhile"))

    async def _park(self, claim: Claim, exc: Rejected) -> None:
        if exc.turn_id not in {turn.turn_id for turn in claim.turns}:  # parking it would change nothing
            await self._postpone(claim, exc, "memory rejected a turn it was not given")
            return
        self.last_error = type(exc).__name__
        log.error("turn.parked", session_id=claim.session_id, turn_id=exc.turn_id, reason=str(exc))
        await self._outbox.park(claim, exc.turn_id, reason=str(exc))

    async def _postpone(
        self, claim: Claim, exc: Exception, reason: str, retry_after_s: float | None = None
    ) -> None:
        self.last_error = type(exc).__name__
        delay_s = self._jitter(0, backoff_s(claim.attempts)) if retry_after_s is None else retry_after_s
        log.warning("turn.postponed", session_id=claim.session_id, reason=reason, delay_s=round(delay_s, 1))
        await self._outbox.postpone(claim, delay_s=delay_s, reason=reason)


def backoff_s(attempts: int) -> float:
    """The longest wait after so many failures in a row: 1 s, doubled each time, at most 5 minutes."""
    return min(LONGEST_BACKOFF_S, 2.0 ** min(attempts, 16))

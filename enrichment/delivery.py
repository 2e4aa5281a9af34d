"""From the outbox into memory: claim, remember, settle. One session in order, sessions side by side.

The only place that repeats a delivery; every SDK's own retrying is switched off.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from opentelemetry.trace import Link

from broker.edge.tracing import CONSUMER, Tracing, failed, link_to, note
from enrichment.breaker import Breaker
from enrichment.memory.port import ForgottenLater, Memory, Rejected, Unreachable
from enrichment.outbox.port import Claim, Outbox, StorageFailed
from enrichment.watch import Unwatched, Watch

SIDE_BY_SIDE = 8
IDLE_S = 5.0  # how long to sleep at most when nothing is known to be due: leases of the dead run out unseen
REMEMBER_S = 20.0  # less than a lease
RELEASE_S = 2.0
LONGEST_BACKOFF_S = 300.0
LONGEST_UNREACHED_S = 5.0  # the breaker is what spares a memory that is down
PARK_AFTER_S = 7 * 86_400.0

log = structlog.get_logger(__name__)


class Delivery:
    """Delivers what is due until cancelled. ``last_error`` names the class of the last failure.

    ``changed`` is told whose memory is not what it was, or may not be; ``watch`` how long turns took.
    """

    def __init__(
        self,
        outbox: Outbox,
        memory: Memory,
        *,
        changed: Callable[[str], None] = lambda _person: None,
        jitter: Callable[[float, float], float] = random.uniform,
        tracing: Tracing | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._outbox = outbox
        self._memory = memory
        self._changed = changed
        self._jitter = jitter
        self._tracing = tracing or Tracing()
        self.breaker = Breaker()
        self._watch = watch or Unwatched()
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
            if (rest_s := self.breaker.admit()) > 0:
                await asyncio.sleep(rest_s)
                continue
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
        with self._tracing.span(
            "turns.deliver",
            {"engram.session_id": claim.session_id, "turns.claimed": len(claim.turns)},
            kind=CONSUMER,
            links=_accepted_by(claim),
        ):
            await self._deliver(claim)
        return True

    async def _deliver(self, claim: Claim) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(REMEMBER_S):
                await self._memory.remember(claim.person, claim.session_id, claim.turns)
        except asyncio.CancelledError:
            await self._release(claim)
            raise
        except Rejected as exc:
            self.breaker.reached()
            await self._park(claim, exc)
        except Unreachable as exc:
            await self._unreached(claim, exc, str(exc), exc.retry_after_s)
        except TimeoutError as exc:
            await self._unreached(claim, exc, "memory took too long", None)
        except Exception as exc:
            log.error("memory.broke", session_id=claim.session_id, exc_info=exc)
            # Its text may quote what was said.
            await self._postpone(claim, exc, type(exc).__name__, self._backoff_s(claim, LONGEST_BACKOFF_S))
        else:
            self.breaker.reached()
            self._watch.delivered(claim.oldest_s + time.monotonic() - began)
            await self._settle(claim)
            note({"delivery.outcome": "delivered"})
        finally:
            self._changed(claim.person)

    async def _settle(self, claim: Claim) -> None:
        """What was erased while it was being delivered is forgotten again."""
        if await self._outbox.delivered(claim):
            return
        log.warning("turn.erased_meanwhile", session_id=claim.session_id)
        try:
            async with asyncio.timeout(REMEMBER_S):
                await self._memory.forget_session(claim.person, claim.session_id)
        except (TimeoutError, Unreachable, ForgottenLater) as exc:
            self.last_error = type(exc).__name__  # the outbox has ordered it: the sweep asks again
        except Exception as exc:
            self.last_error = type(exc).__name__
            log.error("memory.broke", session_id=claim.session_id, exc_info=exc)

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
            reason = "memory rejected a turn it was not given"
            await self._postpone(claim, exc, reason, self._backoff_s(claim, LONGEST_BACKOFF_S))
            return
        await self._park_turn(claim, exc.turn_id, exc, str(exc))

    async def _park_turn(self, claim: Claim, turn_id: str, exc: Exception, reason: str) -> None:
        self.last_error = type(exc).__name__
        failed({"delivery.outcome": "parked", "error.type": type(exc).__name__})
        log.error("turn.parked", session_id=claim.session_id, turn_id=turn_id, reason=reason)
        await self._outbox.park(claim, turn_id, reason=reason)

    async def _unreached(
        self, claim: Claim, exc: Exception, reason: str, retry_after_s: float | None
    ) -> None:
        self.breaker.missed()
        delay_s = self._backoff_s(claim, LONGEST_UNREACHED_S)
        if retry_after_s is not None:
            delay_s = min(max(retry_after_s, 0.0), LONGEST_BACKOFF_S)
        await self._postpone(claim, exc, reason, delay_s)

    async def _postpone(self, claim: Claim, exc: Exception, reason: str, delay_s: float) -> None:
        if claim.oldest_s > PARK_AFTER_S:
            await self._park_turn(claim, claim.oldest_turn_id, exc, f"too old: {reason}")
            return
        self.last_error = type(exc).__name__
        failed({"delivery.outcome": "postponed", "error.type": type(exc).__name__})
        log.warning("turn.postponed", session_id=claim.session_id, reason=reason, delay_s=round(delay_s, 1))
        await self._outbox.postpone(claim, delay_s=delay_s, reason=reason)

    def _backoff_s(self, claim: Claim, longest_s: float) -> float:
        return self._jitter(0, min(longest_s, backoff_s(claim.attempts)))


def _accepted_by(claim: Claim) -> Sequence[Link]:
    """The requests that brought the turns, each once."""
    traceparents = dict.fromkeys(turn.traceparent for turn in claim.turns)
    return [link for traceparent in traceparents for link in link_to(traceparent)]


def backoff_s(attempts: int) -> float:
    """The longest wait after so many failures in a row: 1 s, doubled each time, at most 5 minutes."""
    return min(LONGEST_BACKOFF_S, 2.0 ** min(attempts, 16))

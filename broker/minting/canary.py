"""Asks rows in the background, so that no caller has to find out what works.

At the start all rows at once: a service is ready when one has minted. Then whatever may be asked again after
a fault, and now and then the row that has not been heard of for longest. One probe of a row at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from broker.minting.chain import MintChain
from broker.minting.health import Standing
from broker.minting.outcomes import MintFailed, Verdict
from broker.minting.strategies import Row
from broker.session import SessionSpec

LOOK_S = 0.5  # how often to look for a row that may be asked again
STALE_S = 60.0
ROUND_S = 30.0
QUARANTINED_PROBE_S = 60.0  # what is held for long is still asked this often: somebody may have mended it

log = structlog.get_logger(__name__)


class Canary:
    """Probes rows of a chain until cancelled. ``is_ready``: at least one row has ever minted."""

    def __init__(
        self,
        chain: MintChain,
        spec: SessionSpec,
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._chain = chain
        self._spec = spec
        self._jitter = jitter
        self._due_at = 0.0
        self._probed_at: dict[Row, float] = {}

    @property
    def is_ready(self) -> bool:
        return any(self._chain.health.record(row).minted for row in self._chain.health.rows)

    async def run(self) -> None:
        """Runs for ever. If it ends by itself that is a bug, and readiness must say so."""
        await self._probe(self._chain.health.rows)
        while True:
            await asyncio.sleep(LOOK_S)
            await self._probe(self._due())

    def _due(self) -> list[Row]:
        """Rows that are half open or long held, and every half minute the one unheard of for longest."""
        health, now = self._chain.health, self._chain.now()
        due = [row for row in health.rows if self._may_be_mended(row, now)]
        if now < self._due_at:
            return due
        self._due_at = now + self._jitter(0.8 * ROUND_S, 1.2 * ROUND_S)
        stale = [row for row in health.in_order(Standing.READY) if now - self._seen_at(row) >= STALE_S]
        return [*due, *sorted(stale, key=self._seen_at)[:1]]

    def _may_be_mended(self, row: Row, now: float) -> bool:
        health = self._chain.health
        if health.blocked_by(row) is Verdict.THROTTLED:
            return False
        if health.standing(row) is Standing.HALF_OPEN:
            return True
        is_held = health.standing(row) is Standing.HELD and health.blocked_by(row) is not None
        return is_held and now - self._probed_at.get(row, now) >= QUARANTINED_PROBE_S

    def _seen_at(self, row: Row) -> float:
        return self._chain.health.record(row).seen_at or 0.0

    async def _probe(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._probe_one(row), name=f"canary {row.name}")

    async def _probe_one(self, row: Row) -> None:
        self._probed_at[row] = self._chain.now()
        try:
            await self._chain.attempt(row, self._spec)
        except MintFailed as exc:
            log.info("canary.failed", row=row.name, verdict=exc.verdict, upstream_status=exc.status)

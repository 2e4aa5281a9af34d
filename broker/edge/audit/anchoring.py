"""Every minute a place out of reach is told how far the chain is, so that nobody can cut its end off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from broker.edge.audit.port import Anchors, SinkFailed
from broker.edge.audit.sealing import Head

EVERY_S = 60.0
PUT_S = 10.0

log = structlog.get_logger(__name__)


class Anchoring:
    """Anchors the head of one chain. ``now`` gives Unix seconds.

    An anchor that cannot be put holds nothing up: the next one says as much, and the log that it failed.
    """

    def __init__(self, anchors: Anchors, head: Callable[[], Head], now: Callable[[], float]) -> None:
        self._anchors = anchors
        self._head = head
        self._now = now
        self._anchored = 0

    async def run(self) -> None:
        """Runs for ever."""
        while True:
            await self.anchor()
            await asyncio.sleep(EVERY_S)

    async def anchor(self) -> None:
        """Put one anchor, when there is something new to anchor."""
        head = self._head()
        if head.n == self._anchored:
            return
        try:
            async with asyncio.timeout(PUT_S):
                await self._anchors.put(head, self._now())
        except (SinkFailed, TimeoutError) as exc:
            log.error("audit.unanchored", reason=str(exc) or type(exc).__name__)
        else:
            self._anchored = head.n

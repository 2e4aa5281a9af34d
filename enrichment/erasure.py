"""Forgetting by a person's wish: the outbox first, then memory, until memory has confirmed it.

The outbox's tombstone is what makes it final: late posts are refused, and a deliverer that was at work when
the tombstone was set undoes what it wrote. The order to forget outlives the process, so that a memory that is
down when somebody asks forgets when it is back.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from enrichment.memory.port import Forgotten, ForgottenLater, Memory, Unreachable
from enrichment.outbox.port import Emptied, Order, Outbox

FORGET_S = 25.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was erased. ``memory`` is None as long as memory has not confirmed that nothing is left."""

    session_id: str | None
    emptied: Emptied
    memory: Forgotten | None
    at: datetime

    def as_json(self) -> dict[str, Any]:
        memory = self.memory
        return {
            "certificate": str(uuid.uuid4()),
            "erased": "everything" if self.session_id is None else "session",
            "session_id": self.session_id,
            "erased_at": self.at.isoformat(),
            "outbox": {"sessions": self.emptied.sessions, "turns": self.emptied.turns},
            "memory": None if memory is None else {"sessions": memory.sessions, "turns": memory.turns},
            "complete": memory is not None,
        }


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases. ``changed`` is told whose memory is not what it was; ``now`` gives Unix seconds."""

    outbox: Outbox
    memory: Memory
    changed: Callable[[str], None]
    now: Callable[[], float] = time.time

    async def session(self, person: str, session_id: str) -> Certificate:
        """Raises `ForeignSession`."""
        return await self._certify(person, session_id, await self.outbox.erase_session(person, session_id))

    async def person(self, person: str) -> Certificate:
        return await self._certify(person, None, await self.outbox.erase_person(person))

    async def _certify(self, person: str, session_id: str | None, emptied: Emptied) -> Certificate:
        forgotten = await self._forget(Order(person, session_id, is_ripe=not emptied.leased_until))
        return Certificate(session_id, emptied, forgotten, datetime.fromtimestamp(self.now(), UTC))

    async def carry_out(self) -> int:
        """Forget what is still ordered; how many orders are left."""
        done = [await self._forget(order) for order in await self.outbox.orders()]
        return sum(forgotten is None for forgotten in done)

    async def _forget(self, order: Order) -> Forgotten | None:
        """None when it must be done once more: a deliverer was at work, or memory has not confirmed."""
        forgotten = await self._ask(order)
        self.changed(order.person)
        if forgotten is None or not order.is_ripe:
            return None
        await self.outbox.confirm(order.person, order.session_id)
        return forgotten

    async def _ask(self, order: Order) -> Forgotten | None:
        try:
            async with asyncio.timeout(FORGET_S):
                if order.session_id is None:
                    return await self.memory.forget_person(order.person)
                return await self.memory.forget_session(order.person, order.session_id)
        except (TimeoutError, Unreachable, ForgottenLater) as exc:
            log.warning("erasure.waits", error=type(exc).__name__)
        except Exception as exc:  # one that cannot be carried out must not stop the others
            log.error("memory.broke", exc_info=exc)
        return None

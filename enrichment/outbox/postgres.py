"""The outbox in a PostgreSQL database: for many replicas, each of which may die at any time.

They meet in the database alone: a session is leased to one deliverer of one replica, and its rows are locked
by whoever changes them. Which module does what: `postgres_group` many callers, one commit; `postgres_accept`
posts into the tables; `postgres_claim` claims and settling; `postgres_erasure` erasure and retention;
`postgres_operating` what is seen from outside; `postgres_news` who wakes whom; `postgres_schema` the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from enrichment.outbox import postgres_claim as claims
from enrichment.outbox import postgres_erasure as erasure
from enrichment.outbox import postgres_news as news
from enrichment.outbox import postgres_operating as operating
from enrichment.outbox.port import Accepted, Claim, Depth, Emptied, Entry, Line, Order
from enrichment.outbox.postgres_accept import store
from enrichment.outbox.postgres_connections import Connections
from enrichment.outbox.postgres_group import GroupWriter, Outcome, Post
from enrichment.turns import Turn

MOST_HELD_BACK = 20  # sessions passed over in one claim
ERASE_S = 30.0  # a person may have thousands of sessions


class PostgresOutbox:
    """An `Outbox` in the database at ``url``. Without ``now`` (Unix seconds) the database's clock counts."""

    def __init__(self, url: str, *, now: Callable[[], float] | None = None) -> None:
        self._connections = Connections(url)
        self._now: Callable[[], float | None] = now or (lambda: None)
        self._writer: GroupWriter | None = None

    async def open(self) -> None:
        """Connects, and makes the tables where there are none. Raises `StorageFailed` when it cannot."""
        await self._connections.open()
        self._writer = GroupWriter(self._store)

    async def _store(self, posts: Sequence[Post]) -> Sequence[Outcome]:
        return await self._connections.run(lambda db: store(db, posts, self._now()))

    async def accept(
        self, person: str, session_id: str, turns: Sequence[Turn], *, granted_at: float | None = None
    ) -> Accepted:
        if self._writer is None:
            raise RuntimeError("open the outbox first")
        return await self._writer.accept(person, session_id, turns, granted_at)

    async def claim(self) -> Claim | None:
        for _ in range(MOST_HELD_BACK):
            leased = await self._connections.run_alone(lambda db: claims.lease(db, self._now()))
            if leased is None:
                return None
            lease, claim = leased
            claim = claim or await self._connections.run(partial(claims.claim_or_give_up, lease=lease))
            if claim is not None:
                return claim
        return None

    async def delivered(self, claim: Claim) -> bool:
        return await self._connections.run_alone(lambda db: claims.delivered(db, claim, self._now()))

    async def postpone(self, claim: Claim, *, delay_s: float, reason: str) -> None:
        await self._connections.run(
            lambda db: claims.postpone(db, claim, self._now(), delay_s=delay_s, reason=reason)
        )

    async def park(self, claim: Claim, turn_id: str, *, reason: str) -> None:
        await self._connections.run(lambda db: claims.park(db, claim, self._now(), turn_id, reason))

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        return await self._connections.run(lambda db: operating.pending(db, person, session_id))

    async def pending_sessions(self, person: str) -> Sequence[str]:
        return await self._connections.run(lambda db: operating.pending_sessions(db, person))

    async def next_due_s(self) -> float | None:
        return await self._connections.run(lambda db: operating.next_due_s(db, self._now()))

    async def depth(self) -> Depth:
        return await self._connections.run(lambda db: operating.depth(db, self._now()))

    async def erase_session(self, person: str, session_id: str) -> Emptied:
        return await self._connections.run(
            lambda db: erasure.erase_session(db, person, session_id, self._now()), within_s=ERASE_S
        )

    async def erase_person(self, person: str) -> Emptied:
        return await self._connections.run(
            lambda db: erasure.erase_person(db, person, self._now()), within_s=ERASE_S
        )

    async def revoke(self, person: str) -> float:
        return await self._connections.run(lambda db: erasure.revoke(db, person, self._now()))

    async def is_revoked(self, person: str, granted_at: float) -> bool:
        return await self._connections.run_alone(lambda db: erasure.is_revoked(db, person, granted_at))

    async def orders(self) -> Sequence[Order]:
        return await self._connections.run(lambda db: erasure.orders(db, self._now()))

    async def confirm(self, person: str, session_id: str | None) -> None:
        await self._connections.run(lambda db: erasure.confirm(db, person, session_id))

    async def expire(self, keep_s: float, limit: int) -> int:
        return await self._connections.run(lambda db: erasure.expire(db, keep_s, limit, self._now()))

    async def expire_tombstones(self, keep_s: float) -> int:
        return await self._connections.run(
            lambda db: erasure.expire_tombstones(db, keep_s, self._now()), within_s=ERASE_S
        )

    async def lines(self, *, state: str | None, limit: int, after: str = "") -> Sequence[Line]:
        return await self._connections.run(lambda db: operating.lines(db, state, limit, after))

    async def entries(self, session_id: str) -> Sequence[Entry]:
        return await self._connections.run(lambda db: operating.entries(db, session_id))

    async def replay(self, session_id: str) -> int:
        return await self._connections.run(lambda db: operating.replay(db, session_id, self._now()))

    async def drop(self, session_id: str, turn_id: str, *, reason: str) -> bool:
        return await self._connections.run(lambda db: operating.drop(db, session_id, turn_id, reason))

    async def listen(self, wake: Callable[[], None], forgotten: Callable[[str | None], None]) -> None:
        """Calls ``wake`` when any replica has accepted something, ``forgotten`` with the hash of whom any has
        forgotten something; until cancelled."""
        await news.listen(self._connections.connect, wake, forgotten)

    def is_serving(self) -> bool:
        return self._writer is not None and self._writer.is_serving()

    async def close(self) -> None:
        """Ends after all that was to be accepted."""
        if self._writer is not None:
            await self._writer.close()
        await self._connections.close()

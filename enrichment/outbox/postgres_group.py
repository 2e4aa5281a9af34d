"""Many callers, one commit: whatever has queued up is stored in one transaction, and then all are answered.

Nobody is answered before the COMMIT has returned, and nobody waits for ever: not for a database that hangs,
nor behind too many others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from enrichment.outbox.port import Accepted, Erased, ForeignSession, Revoked, StorageFailed
from enrichment.outbox.postgres_connections import RUN_S
from enrichment.turns import Turn

GROUP_POSTS = 256
GROUP_TURNS = 1_000
MOST_QUEUED = 2_000
SLOW_COMMIT_S = 0.5  # after one like that nobody queues behind another
CLOSE_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """What one caller wants stored, and where the caller waits."""

    person: str
    session_id: str
    turns: Sequence[Turn]
    granted_at: float | None
    answer: asyncio.Future[Accepted] = field(repr=False)


Outcome = Accepted | ForeignSession | Erased | Revoked | StorageFailed
Store = Callable[[Sequence[Post]], Awaitable[Sequence[Outcome]]]


class Unstorable(Exception):
    """Something in one of the posts cannot be stored; the others must not suffer."""


class GroupWriter:
    """Gives ``store`` one group at a time. Made inside a running loop; `close` ends after all queued work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: asyncio.Queue[Post | None] = asyncio.Queue()
        self._commit_s = 0.0
        self._task = asyncio.create_task(self._serve(), name="outbox writer")
        self._task.add_done_callback(self._ended)

    async def accept(
        self, person: str, session_id: str, turns: Sequence[Turn], granted_at: float | None
    ) -> Accepted:
        """What became of the turns, once they are durable."""
        if not self.is_serving() or self._queue.qsize() >= MOST_QUEUED:
            raise StorageFailed("too much is queued, or nobody is left to do it")
        if self._commit_s > SLOW_COMMIT_S and not self._queue.empty():
            raise StorageFailed("the database is slow")
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(Post(person, session_id, turns, granted_at, answer))
        try:
            async with asyncio.timeout(RUN_S):
                return await answer
        except TimeoutError:
            raise StorageFailed("the database takes too long") from None

    def is_serving(self) -> bool:
        return not self._task.done()

    async def close(self) -> None:
        self._queue.put_nowait(None)
        await asyncio.wait([self._task], timeout=CLOSE_S)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _serve(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = await self._next_group()
            began = time.monotonic()
            try:
                _settle(group, await self._outcomes(group))
            finally:  # whatever it was: nobody is left waiting, nor told that something was kept
                self._commit_s = time.monotonic() - began
                _settle(group, [StorageFailed("ended meanwhile") for _ in group])

    async def _next_group(self) -> tuple[list[Post], bool]:
        """Everything that has queued up, at least one post; True when the last thing asked was to stop.

        Whoever has given up waiting is passed over.
        """
        group: list[Post] = []
        turns = 0
        while len(group) < GROUP_POSTS and turns < GROUP_TURNS and (not group or not self._queue.empty()):
            post = await self._queue.get()
            if post is None:
                return group, True
            if not post.answer.done():
                group.append(post)
                turns += len(post.turns)
        return group, False

    async def _outcomes(self, group: Sequence[Post]) -> Sequence[Outcome]:
        """One for each post. A post that cannot be stored is found by storing each alone."""
        try:
            return await self._store(group) if group else []
        except StorageFailed as exc:
            return [StorageFailed(str(exc)) for _ in group]
        except Unstorable as exc:
            if len(group) == 1:
                return [StorageFailed(str(exc))]
            return [outcome for post in group for outcome in await self._outcomes([post])]

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Only a bug ends the writer before `close`: whoever queues then is told."""
        if not task.cancelled() and task.exception() is not None:
            log.critical("outbox.writer_died", exc_info=task.exception())
        while not self._queue.empty():
            post = self._queue.get_nowait()
            _settle([post] if post else [], [StorageFailed("ended meanwhile")])


def _settle(group: Sequence[Post], outcomes: Sequence[Outcome]) -> None:
    for post, outcome in zip(group, outcomes, strict=False):
        if post.answer.done():  # answered already, or the caller went away
            continue
        if isinstance(outcome, Accepted):
            post.answer.set_result(outcome)
        else:
            post.answer.set_exception(outcome)

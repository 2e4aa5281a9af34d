"""Browsers that post their sessions and repeat what was not answered, as the page's outbox does, only sooner.

A parcel is repeated with the same ids until it is answered 202, and the next one of its session waits for
that. Some browsers hear nothing of their answer, and some try to write into somebody else's session.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.history import Conversations, History, Session

CONNECTIONS = 32
ANSWER_S = 5.0
FIRST_RETRY_S, LAST_RETRY_S = 0.02, 0.5  # the page waits 1 s to 5 min, which spares whoever is being tested
DEAF = 0.01  # posts whose sender goes away before the answer
INTRUDERS = 0.05  # sessions before which somebody tries to write into another one


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is 0 when none came."""

    status: int
    body: bytes = b""


NONE = Answer(0)


class Connection:
    """Keep-alive to one of the ports at a time; another port after every break."""

    def __init__(self, ports: Sequence[int], rng: random.Random) -> None:
        self._ports = ports
        self._rng = rng
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, body: bytes, *, deaf: bool = False) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._post(body, deaf)
        except (OSError, EOFError, TimeoutError, ValueError):
            answer = NONE
        if answer is NONE:
            self.close()
        return answer

    async def _post(self, body: bytes, deaf: bool) -> Answer:
        if self._writer is None:
            port = self._rng.choice(self._ports)
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._writer.write(
            b"POST /memory/enrich HTTP/1.1\r\nHost: enrichment\r\nContent-Type: text/plain;charset=UTF-8\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await self._writer.drain()
        if deaf:
            return NONE
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return Answer(int(head.split(b" ", 2)[1]), await self._reader.readexactly(length))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


@dataclass
class Crowd:
    """All browsers together. ``enough`` ends them: each then stops before its next parcel.

    ``pause_s``: how long each waits between two parcels; 0: the next follows the answer at once.
    ``deaf``: the share that goes away before the answer. ``answers`` counts them by status, 0 when none came.
    """

    ports: Sequence[int]
    said: Conversations
    history: History
    enough: Callable[[], bool]
    seed: int
    pause_s: float = 0.0
    deaf: float = DEAF
    answers: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    silence_s: float = 0.0  # the longest time in which nobody at all was kept
    _kept_at: float | None = None

    async def speak(self) -> None:
        """Until it is enough."""
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._browse(random.Random(f"{self.seed} {number}")))

    async def _browse(self, rng: random.Random) -> None:
        connection = Connection(self.ports, rng)
        await asyncio.sleep(rng.uniform(0, self.pause_s))
        while not self.enough():
            session = next(self.said)
            self.history.add(session)
            await self._intrude(connection, rng)
            for parcel in session.parcels():
                if self.enough():
                    break
                began = time.monotonic()
                await self.tell(connection, session, parcel, rng)
                await asyncio.sleep(max(0.0, self.pause_s - (time.monotonic() - began)))
        connection.close()

    async def tell(
        self, connection: Connection, session: Session, parcel: Sequence[str], rng: random.Random
    ) -> None:
        """Post until it is answered 202, or until it is enough."""
        body = session.body(parcel)
        self.history.send(session, parcel)
        retry_s = FIRST_RETRY_S
        while True:
            began = time.monotonic()
            answer = await connection.post(body, deaf=rng.random() < self.deaf)
            self.answers[answer.status] += 1
            if answer.status == 202:
                self.times.append(time.monotonic() - began)
                self._kept(session, answer)
                return
            if self.enough():
                return
            await asyncio.sleep(rng.uniform(0, retry_s))
            retry_s = min(LAST_RETRY_S, retry_s * 2)

    def _kept(self, session: Session, answer: Answer) -> None:
        now = time.monotonic()
        self.silence_s = max(self.silence_s, now - (self._kept_at or now))
        self._kept_at = now
        told = json.loads(answer.body)
        self.history.ack(session.session_id, [*told["accepted"], *told["duplicate"]])

    async def _intrude(self, connection: Connection, rng: random.Random) -> None:
        """Somebody who has guessed a session's id writes into it: memory must never hold that."""
        if not self.history.acked or rng.random() > INTRUDERS:
            return
        guessed = self.history.sessions[rng.choice(list(self.history.sessions))]
        parcel = next(guessed.parcels())
        if (guessed.session_id, parcel[0]) in self.history.acked:  # before, it would become the intruder's
            intruding = self.said.intruding(guessed)
            await connection.post(intruding.body(list(intruding.turns)))


@asynccontextmanager
async def speaking(crowd: Crowd) -> AsyncIterator[None]:
    """Around what happens meanwhile. On leaving, the crowd speaks until it has had enough; or, when something
    broke, no more.
    """
    task = asyncio.create_task(crowd.speak())
    try:
        yield
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def kept(crowd: Crowd, turns: int) -> None:
    """Returns when so many turns have been answered 202."""
    while len(crowd.history.acked) < turns:
        await asyncio.sleep(0.02)

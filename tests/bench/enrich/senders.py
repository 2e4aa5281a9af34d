"""Who posts and asks, in a process of its own: ``python -m tests.bench.enrich.senders WISH``.

The wish is a `Wish` as JSON; what came of it is printed as JSON. In a closed loop each connection sends the
next post when the last one is answered. In an open loop posts come at their rate whatever happens, and the
time of one counts from when it was due.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop

from tests.bench.enrich.pages import TURNS, pages, sentences
from tests.bench.report import percentile

GRACE_S = 10.0
AT_ONCE = 100  # sessions that speak side by side in an open loop, so that each is slow
READY = 400  # sessions signed before the clock starts, for each second of a closed loop


@dataclass(frozen=True, slots=True)
class Wish:
    """``rate`` is posts a second of an open loop, 0 for a closed one. ``gets``: paths with their bearer."""

    port: int
    name: str = ""
    seed: str = ""
    connections: int = 1
    per_post: int = 2
    seconds: float = 1.0
    rate: float = 0.0
    gets: Sequence[Sequence[str]] = ()


@dataclass(slots=True)
class Tally:
    """What came of it. Times are in seconds."""

    times: list[float] = field(default_factory=list)
    failed: int = 0
    failure: str = ""
    began: float = 0.0

    def take(self, answer: Answer, began: float, wanted: int) -> None:
        if answer.status == wanted:
            self.times.append(time.perf_counter() - began)
        else:
            self.failed += 1
            self.failure = (
                self.failure or f"HTTP {answer.status} {answer.body[:200].decode(errors='replace')}"
            )

    def told(self, per_post: int) -> dict[str, Any]:
        times = self.times or [float("nan")]
        return {
            "answered": len(self.times),
            "turns": len(self.times) * per_post,
            "failed": self.failed,
            "failure": self.failure,
            "seconds": time.perf_counter() - self.began,
            **{f"p{share}_ms": percentile(times, share / 100) * 1_000 for share in (50, 95, 99)},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[Answer] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        self._body = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        self._end(Answer(self._parser.get_status_code(), self._body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Answer(0, repr(exc).encode()))

    def _end(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def close(self) -> None:
        self._transport.close()


async def connected(port: int) -> Connection:
    made = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return made[1]


def post(body: bytes) -> bytes:
    return (
        b"POST /memory/enrich HTTP/1.1\r\nHost: enrichment\r\nContent-Type: text/plain;charset=UTF-8\r\n"
        b"Origin: http://127.0.0.1:8080\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def get(path: str, grant: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: enrichment\r\nAuthorization: Bearer {grant}\r\n\r\n".encode()


def posts(wish: Wish) -> Iterator[Iterator[bytes]]:
    """The posts of each session. As many grants as will be needed are signed here, before any clock starts:
    signing costs a core that what is measured shares."""
    said = pages(wish.seed, wish.name)
    sessions = int(wish.seconds * (wish.rate * wish.per_post / TURNS if wish.rate else READY)) + AT_ONCE
    ready = list(itertools.islice(said, sessions))
    sentences()
    return (map(post, page.bodies(wish.per_post)) for page in itertools.chain(ready, said))


async def closed(wish: Wish, tally: Tally) -> None:
    """Every connection speaks one session after the other."""
    sessions = posts(wish)
    tally.began = time.perf_counter()
    until = tally.began + wish.seconds

    async def speak(connection: Connection) -> None:
        for session in sessions:
            for request in session:
                if (began := time.perf_counter()) >= until:
                    return
                tally.take(await connection.ask(request), began, 202)

    await _each(wish, speak)


async def opened(wish: Wish, tally: Tally) -> None:
    """Posts fall due at random moments; each takes a connection that is free, or makes one."""
    free = [await connected(wish.port) for _ in range(wish.connections)]
    sessions, rng = posts(wish), random.Random(wish.name)
    at_once = [next(sessions) for _ in range(AT_ONCE)]
    running: set[asyncio.Task[None]] = set()
    tally.began = due = time.perf_counter()
    until = due + wish.seconds
    while (due := due + rng.expovariate(wish.rate)) < until:
        await asyncio.sleep(due - time.perf_counter())
        request = next(at_once[0], None)
        if request is None:
            at_once[0] = next(sessions)
            request = next(at_once[0])
        at_once.append(at_once.pop(0))
        task = asyncio.create_task(_ask_one(wish, tally, free, request, due))
        running.add(task)
        task.add_done_callback(running.discard)
    async with asyncio.timeout(GRACE_S):
        await asyncio.gather(*running)


async def _ask_one(wish: Wish, tally: Tally, free: list[Connection], request: bytes, due: float) -> None:
    connection = free.pop() if free else await connected(wish.port)
    tally.take(await connection.ask(request), due, 202)
    free.append(connection)


async def asked(wish: Wish, tally: Tally) -> None:
    """Every path once."""
    waiting = iter(wish.gets)

    async def ask(connection: Connection) -> None:
        for path, grant in waiting:
            began = time.perf_counter()
            tally.take(await connection.ask(get(path, grant)), began, 200)

    await _each(wish, ask)


async def _each(wish: Wish, work: Callable[[Connection], Awaitable[None]]) -> None:
    connections = [await connected(wish.port) for _ in range(wish.connections)]
    await asyncio.gather(*(work(connection) for connection in connections))
    for connection in connections:
        connection.close()


async def main(wish: Wish) -> None:
    tally = Tally()
    gc.freeze()
    if wish.gets:
        await asked(wish, tally)
    else:
        await (opened if wish.rate else closed)(wish, tally)
    print(json.dumps(tally.told(0 if wish.gets else wish.per_post)))


if __name__ == "__main__":
    uvloop.run(main(Wish(**json.loads(sys.stdin.read()))))

"""Callers in a closed loop, in a process of their own: ``python -m tests.bench.mint.callers``.

Reads one `Wish` a line from standard input as JSON and answers each with one line. Each caller has one
connection, sends the next request when the answer to the last one is complete, and keeps the connection.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from tests.bench.report import percentile

GRACE_S = 5.0  # for the last answers after the time is up


PERSON = "{person}"  # in a header: the number of one of `PEOPLE`, another one with each request
PEOPLE = 2_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask, how many at a time, for how long. A good answer is a 200 that contains ``proof``."""

    url: str
    headers: Mapping[str, str]
    body: str
    proof: str
    callers: int
    seconds: float

    def requests(self) -> Iterator[bytes]:
        """One after the other, for ever."""
        request, person = self._as_bytes(), PERSON.encode()
        people = range(PEOPLE) if person in request else [0]
        return cycle([request.replace(person, b"%d" % number) for number in people])

    def _as_bytes(self) -> bytes:
        parts = urlsplit(self.url)
        own = {"Host": parts.netloc, "Content-Type": "application/json", "Content-Length": len(self.body)}
        lines = [f"{name}: {value}" for name, value in {**own, **self.headers}.items()]
        return "\r\n".join([f"POST {parts.path} HTTP/1.1", *lines, "", self.body]).encode()


@dataclass(slots=True)
class Tally:
    """What came of one wish. Times are in seconds."""

    times: list[float] = field(default_factory=list)
    failed: int = 0
    failure: str = ""

    def fail(self, why: str) -> None:
        self.failed += 1
        self.failure = self.failure or why[:300]


class Caller(asyncio.Protocol):
    """One caller on one connection."""

    def __init__(self, wish: Wish, requests: Iterator[bytes], tally: Tally, until: float) -> None:
        self._requests = requests
        self._proof = wish.proof.encode()
        self._tally = tally
        self._until = until
        self._body = b""
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._parser = httptools.HttpResponseParser(self)
        self._ask()

    def _ask(self) -> None:
        self._body = b""
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if self._parser.get_status_code() == 200 and self._proof in self._body:
            self._tally.times.append(now - self._began)
        else:
            self._tally.fail(f"HTTP {self._parser.get_status_code()} {self._body.decode(errors='replace')}")
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if time.perf_counter() < self._until:
            self._tally.fail(f"the connection was closed early: {exc!r}")


async def ask(wish: Wish) -> dict[str, Any]:
    """Keep ``wish.callers`` asking until the time is up, and wait for their last answers."""
    tally, requests = Tally(), wish.requests()
    loop = asyncio.get_running_loop()
    parts = urlsplit(wish.url)
    began = time.perf_counter()
    callers: Sequence[Caller] = [
        (
            await loop.create_connection(
                lambda: Caller(wish, requests, tally, began + wish.seconds),
                str(parts.hostname),
                parts.port or 80,
            )
        )[1]
        for _ in range(wish.callers)
    ]
    _, late = await asyncio.wait([caller.done for caller in callers], timeout=wish.seconds + GRACE_S)
    for _ in late:
        tally.fail(f"no answer {GRACE_S:g} s after the end")
    times = tally.times or [float("nan")]
    return {
        "answered": len(tally.times),
        "failed": tally.failed,
        "failure": tally.failure,
        "seconds": time.perf_counter() - began,
        "p50_ms": percentile(times, 0.5) * 1000,
        "p99_ms": percentile(times, 0.99) * 1000,
    }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(uvloop.run(ask(Wish(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()

"""The callers: a process that asks for tokens at a fixed rate, whatever comes of it, and calls with each.

Open loop: arrivals are a Poisson process drawn from the seed, so a slow answer never delays the next caller,
and each latency counts from when the caller came. A caller gives up after 10 s, as the page does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import uvloop

from tests.bench.faults.azure import CALLS_PATH, MINTED_AT

GIVES_UP_S = 10.0
NO_ANSWER = 0  # in place of a status: gave up, or the connection broke


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one caller saw. ``came_s`` after the start of the run; ``late_ms``: how much too late we asked."""

    came_s: float
    ms: float
    status: int
    is_redeemed: bool
    late_ms: float


@dataclass(frozen=True, slots=True)
class Order:
    """Whom to ask, how often, from when (monotonic seconds), and where calls are placed."""

    target: str
    calls: str
    n: int
    rate: float
    seed: int
    begin_at: float


def arrivals(order: Order) -> Iterator[float]:
    """Seconds after the start at which callers come; the last is near ``n / rate``."""
    dice = random.Random(f"{order.seed}/arrivals")
    came_s = 0.0
    for _ in range(order.n):
        came_s += dice.expovariate(order.rate)
        yield came_s


class Callers:
    """All callers of one run, over shared connections."""

    def __init__(self, order: Order, http: aiohttp.ClientSession) -> None:
        self._order = order
        self._http = http
        self._token_url = f"{order.target}/realtime/token"
        self._calls_url = order.calls + CALLS_PATH

    async def all(self) -> list[Outcome]:
        running = []
        for came_s in arrivals(self._order):
            if (wait_s := self._order.begin_at + came_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            running.append(asyncio.create_task(self._one(came_s)))
        return await asyncio.gather(*running)

    async def _one(self, came_s: float) -> Outcome:
        now, due = time.monotonic(), self._order.begin_at + came_s
        since = min(now, due)  # a timer may be early by a millisecond
        try:
            async with asyncio.timeout(GIVES_UP_S):
                status, answer = await self._ask()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status, answer = NO_ANSWER, {}
        ms = (time.monotonic() - since) * 1000
        is_redeemed = status == 200 and await self._redeem(answer)
        return Outcome(round(came_s, 4), round(ms, 2), status, is_redeemed, round((now - since) * 1000, 2))

    async def _ask(self) -> tuple[int, dict[str, str]]:
        async with self._http.post(self._token_url, json={"agent_id": "elena"}) as response:
            is_json = response.content_type == "application/json"
            return response.status, (await response.json() if is_json else {})

    async def _redeem(self, answer: dict[str, str]) -> bool:
        parts = urlsplit(answer["calls_url"])
        headers = {
            "Authorization": f"Bearer {answer['token']}",
            MINTED_AT: f"{parts.scheme}://{parts.netloc}",
            "Content-Type": "application/sdp",
        }
        try:
            async with self._http.post(self._calls_url, data=b"v=0\r\n", headers=headers) as response:
                return response.status == 201
        except aiohttp.ClientError:
            return False


async def run(order: Order) -> list[Outcome]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30)) as http:
        return await Callers(order, http).all()


def columns(outcomes: list[Outcome]) -> dict[str, list[float]]:
    rows = [asdict(outcome) for outcome in outcomes]
    return {name: [row[name] for row in rows] for name in rows[0]}


def read(path: Path) -> list[Outcome]:
    kept = json.loads(path.read_text())
    return [Outcome(*values) for values in zip(*kept.values(), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults.load", description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--calls", required=True)
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--begin-at", type=float, required=True)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    order = Order(given.target, given.calls, given.n, given.rate, given.seed, given.begin_at)
    given.into.write_text(json.dumps(columns(uvloop.run(run(order)))))


if __name__ == "__main__":
    main()

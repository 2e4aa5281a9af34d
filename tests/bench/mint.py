"""What the broker adds to a mint: asked directly and through the broker, in turns, by one caller.

Direct and brokered requests alternate in rounds, so that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from broker.agents import load_agents
from broker.minting.strategies import Ga
from broker.session import Transcription, TurnDetection, session_for
from tests.bench.report import Bar, finish, percentile
from tests.local.processes import free_port
from tests.local.stack import SIMULATOR_KEY, Plan, Stack, started

ROUNDS, PER_ROUND, WARM_UP = 20, 50, 100
MOST_ADDED_MS = 1.0

Mint = Callable[[aiohttp.ClientSession], Awaitable[None]]


def posting(url: str, body: object, headers: dict[str, str] | None = None) -> Mint:
    async def mint(http: aiohttp.ClientSession) -> None:
        async with http.post(url, json=body, headers=headers) as response:
            answer = await response.json()
            assert response.status == 200, answer

    return mint


def direct(stack: Stack) -> Mint:
    """The request that the broker makes, made by ourselves."""
    elena = load_agents()["elena"]
    spec = session_for(elena, [], turn_detection=TurnDetection(), transcription=Transcription())
    url = Ga().mint_url(stack["simulator"].url)
    return posting(url, Ga().body(spec, "gpt-realtime"), {"api-key": SIMULATOR_KEY})


async def timed_ms(mint: Mint, http: aiohttp.ClientSession) -> float:
    began = time.perf_counter()
    await mint(http)
    return (time.perf_counter() - began) * 1000


async def measure(ways: dict[str, Mint]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    async with aiohttp.ClientSession() as http:
        for mint in ways.values():
            for _ in range(WARM_UP):
                await mint(http)
        for number in range(ROUNDS):
            for name, mint in ways.items():
                times[name] += [await timed_ms(mint, http) for _ in range(PER_ROUND)]
            print(f"\rround {number + 1} of {ROUNDS}", end="", flush=True)
    print("\r" + " " * 20 + "\r", end="")
    return times


async def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with started(Plan(Path(folder))) as stack:
            without_memory = stack.plan.broker(port=free_port(), ENRICHMENT_URL="")
            await stack.start(without_memory)
            ask = {"agent_id": "elena", "session_id": "bench"}
            times = await measure(
                {
                    "simulator, asked directly": direct(stack),
                    "broker, memory off": posting(f"{without_memory.url}/realtime/token", ask),
                    "broker, everything on": posting(f"{stack['broker'].url}/realtime/token", ask),
                }
            )
    return report(times)


def report(times: dict[str, list[float]]) -> int:
    p50 = {name: percentile(values, 0.5) for name, values in times.items()}
    direct_ms, without_memory_ms, with_memory_ms = p50.values()
    rows = [
        {
            "way": name,
            "n": len(values),
            "p50 ms": f"{p50[name]:.2f}",
            "p99 ms": f"{percentile(values, 0.99):.2f}",
            "added p50 ms": f"{p50[name] - direct_ms:.2f}",
        }
        for name, values in times.items()
    ]
    bars = [
        at_most("the broker adds to a mint, at p50", without_memory_ms - direct_ms),
        at_most("reading memory before it adds, at p50", with_memory_ms - without_memory_ms),
    ]
    return finish("mint", rows, bars, p50, "ms p50")


def at_most(what: str, added_ms: float) -> Bar:
    return Bar(f"{what}, at most {MOST_ADDED_MS:g} ms", f"{added_ms:.2f} ms", added_ms <= MOST_ADDED_MS)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

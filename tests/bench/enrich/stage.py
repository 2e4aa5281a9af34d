"""The service as it is served, the keys of its grants, and the other processes of a round."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.bench.enrich.pages import signer_of
from tests.bench.enrich.senders import Wish
from tests.bench.faults.wire import Asked, Port, Wire
from tests.local.processes import ROOT, Command, Running, free_port, machine_environment, start
from tests.local.stack import COUNTED

KEYS = "bench"  # what the signing key is made of
DRAIN_S = 300.0
LONGEST_S = 600.0


class Broken(Exception):
    """A process of the bench did not do what it was there for. The message is its last words."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one service keeps its files. ``database_url`` chooses the engine of the outbox."""

    folder: Path
    keys_url: str
    database_url: str | None = None

    def environment(self) -> Mapping[str, str]:
        return {
            "ENVIRONMENT": "development",
            "GRANT_JWKS_URL": self.keys_url,
            "DATA_DIR": str(self.folder),
            "CORS_ORIGINS": '["http://127.0.0.1:8080"]',
            **COUNTED,
            **({"DATABASE_URL": self.database_url} if self.database_url else {}),
        }


def places(folder: Path, keys_url: str, database: Callable[[str], str] | None) -> Callable[[str], Place]:
    """Gives a new place for each name; ``database`` makes an empty one for it."""
    return lambda name: Place(folder / name, keys_url, database(name) if database else None)


@asynccontextmanager
async def keys() -> AsyncIterator[str]:
    """The address of the public half."""
    body = json.dumps(signer_of(KEYS).jwks()).encode()

    def show(_asked: Asked, wire: Wire) -> None:
        wire.answer(200, body)

    port = Port(free_port(), show)
    await port.open()
    try:
        yield f"http://127.0.0.1:{port.number}/jwks.json"
    finally:
        port.refuse()


async def engine(place: Place, order: str, **options: object) -> dict[str, float]:
    """What `tests.bench.enrich.engine` says of that order."""
    words = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return await _told("tests.bench.enrich.engine", [order, *words], place.environment(), "")


async def _told(module: str, arguments: list[str], environment: Mapping[str, str], given: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        env={**machine_environment(), **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            told, complaint = await process.communicate(given.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Broken(complaint.decode(errors="replace")[-2000:])
    return json.loads(told.splitlines()[-1])


class Enrichment:
    """A running service, and those who post to it."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._port = running.service.port
        self._process = psutil.Process(running.process.pid)

    async def ask(self, **wish: Any) -> dict[str, Any]:
        """What came of a `Wish`, and the CPU that the service used meanwhile."""
        before = self._process.cpu_times()
        wanted = Wish(port=self._port, seed=KEYS, **wish)
        told: dict[str, Any] = await _told("tests.bench.enrich.senders", [], {}, json.dumps(asdict(wanted)))
        after = self._process.cpu_times()
        return {**told, "cpu_s": after.user + after.system - before.user - before.system}

    async def pending(self) -> int:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            status = (await http.get(f"{self._running.url}/status")).json()
            return int(status["pending"])

    async def drained(self) -> float:
        """Turns a second that went to memory while somebody looked; 0 when none was left to go."""
        began, first = time.perf_counter(), await self.pending()
        waiting = first
        async with asyncio.timeout(DRAIN_S):
            while waiting:
                await asyncio.sleep(0.05)
                waiting = await self.pending()
        return first / (time.perf_counter() - began) if first else 0.0

    @property
    def rss_mb(self) -> float:
        return self._process.memory_info().rss / 1e6


@asynccontextmanager
async def served(place: Place) -> AsyncIterator[Enrichment]:
    """The service, up; ended on leaving."""
    async with _started("enrichment", ["enrichment", "serve"], place) as service:
        yield service


@asynccontextmanager
async def floor(place: Place) -> AsyncIterator[Enrichment]:
    """What answers as the service does and keeps nothing."""
    async with _started("floor", ["tests.bench.enrich.floor"], place) as nothing:
        yield nothing


@asynccontextmanager
async def _started(name: str, arguments: Sequence[str], place: Place) -> AsyncIterator[Enrichment]:
    port = free_port()
    command = Command(name, port, [*arguments, "--port", str(port)], place.environment())
    running = await start(command, place.folder / "logs")
    try:
        await running.answers()
        yield Enrichment(running)
    finally:
        await running.stop()

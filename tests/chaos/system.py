"""What one scenario runs against: a key server, a recorder, and one or several processes of enrichment."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from tests.bench.faults.wire import Asked, Port, Wire
from tests.chaos.checker import Kept
from tests.chaos.disks import BASE
from tests.chaos.recorder import journal_of
from tests.local.forks import fork
from tests.local.processes import Command, Running, free_port, start

REMEMBERED = "SELECT person, session_id, turn_id, text FROM turn ORDER BY seq"


@dataclass
class System:
    """``database_url`` chooses the engine of the outbox. ``options`` go to every process of enrichment."""

    folder: Path
    database_url: str | None = None
    options: Sequence[str] = ()
    replicas: int = 1
    signer: GrantSigner = field(
        default_factory=lambda: GrantSigner(Ed25519PrivateKey.generate(), environment="development")
    )
    running: list[Running] = field(default_factory=list)
    recorder: Recorder | None = None

    def __post_init__(self) -> None:
        self.ports = [free_port() for _ in range(self.replicas)]
        self._keys = Port(free_port(), self._show_keys)

    def _show_keys(self, _asked: Asked, wire: Wire) -> None:
        wire.answer(200, json.dumps(self.signer.jwks()).encode())

    async def open(self) -> None:
        await self._keys.open()
        self.running = [await start(self._command(port), self.folder / "logs", fork) for port in self.ports]
        await asyncio.gather(*(running.answers() for running in self.running))

    async def restart(self, place: int) -> None:
        """Start again what has ended, on the same port."""
        self.running[place] = await start(self._command(self.ports[place]), self.folder / "logs", fork)
        await self.running[place].answers()

    async def close(self) -> None:
        await asyncio.gather(*(running.stop() for running in self.running))
        self._keys.refuse()

    def _command(self, port: int) -> Command:
        memory = ["--memory", self.recorder.url] if self.recorder else []
        arguments = ["tests.chaos.service", "--port", str(port), *memory, *self.options]
        return Command(f"enrichment-{port}", port, arguments, self._environment(port))

    def _environment(self, port: int) -> Mapping[str, str]:
        database = {"DATABASE_URL": self.database_url} if self.database_url else {}
        return {
            "ENVIRONMENT": "development",
            "GRANT_JWKS_URL": f"http://127.0.0.1:{self._keys.number}/jwks.json",
            "DATA_DIR": str(self.folder / ("data" if self.replicas == 1 else f"data-{port}")),
            "OUTBOX_BALLAST_MB": "0",
            "LOG_LEVEL": "error",
            **database,
        }

    async def status(self) -> dict[str, Any]:
        """What the first process says about the outbox."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            told: dict[str, Any] = (await http.get(f"{self.running[0].url}/status")).json()
            return told

    async def drained(self, within_s: float) -> float:
        """Seconds until nothing waits any more. Raises TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while (await self.status())["pending"]:
                await asyncio.sleep(0.1)
        return time.monotonic() - began

    def remembered(self) -> list[Kept]:
        """Everything in memory, in the order in which it came. Once the service has ended."""
        if self.recorder:
            return journal_of(self.recorder.journal)
        memory = apsw.Connection(str(self.folder / "data" / "memory.db"), apsw.SQLITE_OPEN_READONLY, vfs=BASE)
        try:
            return [Kept(*map(str, row)) for row in memory.execute(REMEMBERED)]
        finally:
            memory.close()


@dataclass(slots=True)
class Recorder:
    """The memory elsewhere, as the bench steers it."""

    url: str
    running: Running
    journal: Path

    async def told(self, **wishes: object) -> dict[str, int]:
        """Its counts, after it was told what to do."""
        async with httpx.AsyncClient(trust_env=False) as http:
            counts: dict[str, int] = (await http.post(f"{self.running.url}/", json=wishes)).json()
            return counts


async def recording(folder: Path, seed: int) -> Recorder:
    """A started recorder."""
    port, commands, journal = free_port(), free_port(), folder / "journal.jsonl"
    words = {"--port": port, "--commands": commands, "--journal": journal, "--seed": seed}
    arguments = ["tests.chaos.recorder", *(str(word) for pair in words.items() for word in pair)]
    running = await start(Command("recorder", commands, arguments, probe="/"), folder / "logs", fork)
    await running.answers()
    return Recorder(f"http://127.0.0.1:{port}/remember", running, journal)


@asynccontextmanager
async def opened(system: System, *, recorder_seed: int | None = None) -> AsyncIterator[System]:
    """The system, up; ended on leaving. With a recorder when it is given a seed, else memory is embedded."""
    if recorder_seed is not None:
        system.folder.mkdir(parents=True, exist_ok=True)
        system.recorder = await recording(system.folder, recorder_seed)
    try:
        await system.open()
        yield system
    finally:
        await system.close()
        if system.recorder:
            await system.recorder.running.stop()

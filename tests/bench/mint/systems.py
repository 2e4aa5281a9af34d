"""What is measured: each system started, asked once to prove that it mints, and ready to be asked again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bench.mint.callers import PEOPLE, PERSON
from tests.bench.mint.peers import Peer, Place
from tests.bench.mint.processes import Cores, Process, Program, started
from tests.bench.mint.upstream import MINT
from tests.local.processes import Command, NotStarted, free_port
from tests.local.stack import COUNTED, Plan

DIRECT, FLOOR = "Azure's fake, asked directly", "floor: Starlette and aiohttp"
OURS, OURS_WITHOUT_MEMORY = "broker, everything on", "broker, memory off"
OURS_GUARDED = "broker, memory off, all guards on"
OURS_UNGUARDED = "broker, memory and guards off"
SIGNED_IN = {"AUTH_REQUIRED": "true", "AUTH_DEV_TOKENS": "true"}
CALLER = {"Authorization": f"Bearer dev_caller{PERSON}_user"}
AT_ONCE = 16
REMEMBERED = ["I take the train at eight.", "My sister lives in Paris.", "I like short answers."]


@dataclass(frozen=True, slots=True)
class System:
    """Something that mints. ``beside`` is a process that it needs and that is not charged to it."""

    name: str
    process: Process
    url: str
    body: str = "{}"
    proof: str = '"ek_'
    headers: Mapping[str, str] = field(default_factory=dict)
    beside: Process | None = None
    is_peer: bool = False

    async def proven(self) -> System:
        """Itself, after it has minted once. Raises `NotStarted` with what it answered instead."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            answer = await self.asked(http)
        if answer.status_code != 200 or self.proof not in answer.text:
            raise NotStarted(f"does not mint: HTTP {answer.status_code} {answer.text[:200]}")
        return self

    async def asked(self, http: httpx.AsyncClient, person: int = 0) -> httpx.Response:
        own = {name: value.replace(PERSON, str(person)) for name, value in self.headers.items()}
        headers = {"Content-Type": "application/json", **own}
        return await http.post(self.url, content=self.body, headers=headers)


class Stage:
    """Everything that runs, ended when ``stack`` is left."""

    def __init__(self, stack: AsyncExitStack, folder: Path, cores: Cores) -> None:
        self._stack = stack
        self._folder = folder
        self._cores = cores
        self.upstream_url = f"http://127.0.0.1:{free_port()}"

    async def _run(self, name: str, command: Sequence[str], probe: str, **more: object) -> Process:
        program = Program(name, command, probe, **{"cores": self._cores.server, **more})  # type: ignore[arg-type]
        return await self._stack.enter_async_context(started(program, self._folder / "logs"))

    async def _run_ours(self, module: str, port: int, *arguments: str, **more: object) -> Process:
        command = [sys.executable, "-m", f"tests.bench.mint.{module}", "--port", str(port), *arguments]
        return await self._run(module, command, f"http://127.0.0.1:{port}/", **more)

    async def _run_service(self, service: Command, **more: object) -> Process:
        command = [sys.executable, "-m", *service.arguments]
        probe = f"{service.url}{service.probe}"
        return await self._run(service.name, command, probe, environment=service.environment, **more)

    async def direct(self) -> System:
        port = int(self.upstream_url.rsplit(":", 1)[1])
        process = await self._run_ours("upstream", port, cores=self._cores.others)
        return System(
            DIRECT, process, f"{self.upstream_url}/openai/v1{MINT}", body=json.dumps({"session": {}})
        )

    async def floor(self) -> System:
        port = free_port()
        process = await self._run_ours("floor", port, "--upstream", f"{self.upstream_url}/openai/v1{MINT}")
        return await System(FLOOR, process, f"http://127.0.0.1:{port}/token").proven()

    async def ours(self) -> list[System]:
        """The broker with memory, without, guarded, and bare. Enrichment is beside, on another core."""
        azure = {
            "AZURE_VOICELIVE_ENDPOINT": self.upstream_url,
            "AZURE_VOICELIVE_KEY": "bench-key",
            "AZURE_VOICELIVE_MODEL": "gpt-realtime",
        }
        plan = Plan(self._folder, settings=azure | COUNTED | SIGNED_IN)
        enrichment, broker = plan.services()
        without = plan.broker(port=free_port(), ENRICHMENT_URL="")
        guarded = plan.broker(port=free_port(), ENRICHMENT_URL="", **self._guards())
        unguarded = plan.broker(port=free_port(), ENRICHMENT_URL="", LIMITS="off", AUTH_REQUIRED="false")
        beside = await self._run_service(enrichment, cores=self._cores.others)
        with_memory = System(
            OURS, await self._run_service(broker), _token(broker), body=_ASK, headers=CALLER, beside=beside
        )
        await remember(with_memory)
        without_memory = System(
            OURS_WITHOUT_MEMORY, await self._run_service(without), _token(without), body=_ASK, headers=CALLER
        )
        watched = System(
            OURS_GUARDED, await self._run_service(guarded), _token(guarded), body=_ASK, headers=CALLER
        )
        bare = System(OURS_UNGUARDED, await self._run_service(unguarded), _token(unguarded), body=_ASK)
        return [await system.proven() for system in (with_memory, without_memory, watched, bare)]

    def _guards(self) -> dict[str, str]:
        """A record of every mint beside sign-in and limits, as where people's data is."""
        return {
            "AUDIT_LOG_ENABLED": "true",
            "AUDIT_KEY": "the-key-of-a-bench-which-nobody-keeps",
            "AUDIT_URL": f"file:{self._folder / 'audit'}",
        }

    async def peer(self, peer: Peer) -> System:
        """Raises `NotInstalled` or `NotStarted`."""
        await peer.install()
        place = Place(peer.folder, free_port(), self.upstream_url)
        url = f"http://127.0.0.1:{place.port}"
        process = await self._run(
            peer.folder.name,
            peer.command(place),
            url + peer.probe,
            environment=peer.environment,
            folder=peer.folder,
        )
        system = System(
            peer.name, process, url + peer.route, peer.body, peer.proof, peer.headers, is_peer=True
        )
        return await system.proven()


_ASK = json.dumps({"agent_id": "elena"})  # as the page asks for the first call


def _token(service: Command) -> str:
    return f"{service.url}/realtime/token"


async def remember(system: System) -> None:
    """Put a few turns of everybody into memory, so that reading it finds something to tell the model."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def tell(person: int) -> None:
        async with turn:
            await _remember(system, http, person)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http, asyncio.TaskGroup() as telling:
        for person in range(PEOPLE):
            telling.create_task(tell(person))


async def _remember(system: System, http: httpx.AsyncClient, person: int) -> None:
    minted = (await system.asked(http, person)).json()
    turns = [
        {"turn_id": f"t-{number}", "speaker": "user", "text": text, "spoken_at": "2026-11-20T08:00:00Z"}
        for number, text in enumerate(REMEMBERED)
    ]
    parcel = {"grant": minted["enrichment"]["grant"], "session_id": minted["session_id"], "turns": turns}
    accepted = await http.post(minted["enrichment"]["url"], json=parcel)
    if accepted.status_code != 202:
        raise NotStarted(f"memory took nothing: HTTP {accepted.status_code} {accepted.text[:200]}")
    for _ in range(100):
        if (await system.asked(http, person)).json()["memory"]["status"] == "hit":
            return
    raise NotStarted("memory stays empty")

"""What a profile's pages speak with: their own origin, and enrichment behind a proxy that can fail."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from broker.edge.grants import GrantSigner
from tests.bench.faults.wire import Asked, Port, Wire
from tests.local.processes import ROOT, free_port

FAULTY = 0.7  # the share of posts that a fault meets
SLOWEST_S = 0.03  # of the way to enrichment, so that something is in flight when a page ends
BLANK = b"<!doctype html><link rel=icon href='data:,'><title>soak</title>"
CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "Retry-After"}


@dataclass
class Front:
    """``fault`` is what mostly goes wrong now: "storm" (503), "dropped" (accepted, and no answer), "refused"
    (nobody listens) or "". ``seen`` counts what was answered.

    ``posted``: turns in posts that enrichment answered 202; ``duplicates``: those it had before.
    """

    enrichment: str
    signer: GrantSigner
    person: str
    rng: random.Random
    http: httpx.AsyncClient
    fault: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    posted: int = 0
    duplicates: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._pages = Port(free_port(), self._show)
        self._posts = Port(free_port(), self._take)

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self._pages.number}/blank"

    @property
    def enrich_url(self) -> str:
        return f"http://127.0.0.1:{self._posts.number}/memory/enrich"

    async def open(self) -> None:
        await self._pages.open()
        await self._posts.open()

    async def fail(self, fault: str) -> None:
        """From now on; with "refused" nobody listens any more."""
        if self.fault == "refused":
            await self._posts.open()
        self.fault = fault
        if fault == "refused":
            self._posts.refuse()
            self.seen["refused"] += 1

    async def close(self) -> None:
        self._pages.refuse()
        self._posts.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _show(self, asked: Asked, wire: Wire) -> None:
        """The shipped modules, and grants as the broker gives them."""
        if asked.path == "/realtime/grant":
            wire.answer(200, self._grant(json.loads(asked.body)["session_id"]))
        elif asked.path.startswith("/blank"):
            wire.answer(200, BLANK, {"content-type": "text/html"})
        else:
            module = ROOT / "web" / Path(asked.path).name
            wire.answer(200, module.read_bytes(), {"content-type": "text/javascript"})

    def _grant(self, session_id: str) -> bytes:
        grant, _ = self.signer.sign(person=self.person, session_id=session_id, agent_id="elena")
        return json.dumps({"url": self.enrich_url, "grant": grant}).encode()

    def _take(self, asked: Asked, wire: Wire) -> None:
        task = asyncio.create_task(self._pass_on(asked, wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, asked: Asked, wire: Wire) -> None:
        await asyncio.sleep(self.rng.uniform(0, SLOWEST_S))
        if self._meets("storm"):
            wire.answer(503, b"{}", CORS | self.rng.choice([{}, {"retry-after": "1"}]))
            return
        answer = await self._ask(asked.body)
        await asyncio.sleep(self.rng.uniform(0, SLOWEST_S))
        if self._meets("dropped"):
            wire.abort()
            return
        wire.answer(answer.status_code, answer.content, CORS)

    def _meets(self, fault: str) -> bool:
        is_met = self.fault == fault and self.rng.random() < FAULTY
        self.seen[fault] += is_met
        return is_met

    async def _ask(self, body: bytes) -> httpx.Response:
        answer = await self.http.post(
            f"{self.enrichment}/memory/enrich", content=body, headers={"content-type": "text/plain"}
        )
        self.seen[str(answer.status_code)] += 1
        if answer.status_code == 202:
            told = answer.json()
            self.posted += len(told["accepted"]) + len(told["duplicate"])
            self.duplicates += len(told["duplicate"])
            self.seen["rejected"] += len(told["rejected"])
        return answer

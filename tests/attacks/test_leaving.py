"""A broker that is told to end while callers come: nobody who was let in is dropped."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

from tests.bench.faults.wire import Port
from tests.local.forks import fork
from tests.local.processes import Running, free_port, start
from tests.local.stack import Plan

CALLERS = 12
AZURE_S = 0.1  # so that there are always mints on their way


@dataclass
class Balancer:
    """Sends each caller to a broker that says it is ready, as an ingress does that asks now and then."""

    brokers: list[Running]
    ready: list[str] = field(default_factory=list)
    minted: dict[str, int] = field(default_factory=dict)
    elsewhere: int = 0
    dropped: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            while not self.over.is_set():
                self.ready = [broker.url for broker in self.brokers if await self._is_ready(http, broker)]
                await self._moment(0.05)

    async def _is_ready(self, http, broker) -> bool:
        try:
            return (await http.get(f"{broker.url}/ready", timeout=1)).status_code == 200
        except httpx.HTTPError:
            return False

    async def call(self, number: int) -> None:
        """A caller who keeps connections open, and asks again and again."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            while not self.over.is_set():
                if not self.ready:
                    await self._moment(0.01)
                    continue
                await self._ask(http, self.ready[number % len(self.ready)])

    async def _ask(self, http, url) -> None:
        try:
            answer = await http.post(f"{url}/realtime/token", json={})
        except httpx.ConnectError:
            self.elsewhere += 1  # nobody took it: an ingress asks another
        except httpx.HTTPError as exc:
            self.dropped.append(f"{type(exc).__name__} {exc}")
        else:
            if answer.status_code == 200:
                self.minted[url] = self.minted.get(url, 0) + 1
            else:
                self.dropped.append(f"HTTP {answer.status_code} {answer.text}")

    async def _moment(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)


@pytest.fixture
async def brokers(tmp_path):
    """Two, with an Azure that takes its time."""

    def mint(_asked, wire):
        token = {"value": "ek_rolling", "expires_at": int(time.time()) + 60, "session": {}}
        asyncio.get_running_loop().call_later(AZURE_S, wire.answer, 200, json.dumps(token).encode())

    azure = Port(free_port(), mint)
    await azure.open()
    chosen = {
        "AZURE_VOICELIVE_ENDPOINT": f"http://127.0.0.1:{azure.number}",
        "AZURE_VOICELIVE_KEY": "k",
        "DRAIN_S": "0.6",
    }
    plan = Plan(tmp_path, settings=chosen)
    commands = [plan.broker(ENRICHMENT_URL=""), plan.broker(port=free_port(), ENRICHMENT_URL="")]
    started = [await start(command, tmp_path, fork) for command in commands]
    try:
        await asyncio.gather(*(broker.answers() for broker in started))
        yield started
    finally:
        await asyncio.gather(*(broker.kill() for broker in started))
        azure.refuse()


async def test_a_rolling_restart_under_load_drops_no_request_that_was_accepted(brokers, tmp_path):
    balancer = Balancer(brokers)
    load = [asyncio.create_task(balancer.watch())]
    load += [asyncio.create_task(balancer.call(number)) for number in range(CALLERS)]
    leaving = brokers[0]
    await minted(balancer, leaving.url, 20)
    leaving.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await leaving.process.wait() == -signal.SIGTERM
    before = balancer.minted[leaving.url]
    brokers[0] = await start(leaving.service, tmp_path, fork)
    await minted(balancer, leaving.url, before + 10)
    balancer.over.set()
    await asyncio.gather(*load)
    assert balancer.dropped == []


async def minted(balancer, url, count) -> None:
    """Returns when so many tokens came from there."""
    deadline = time.monotonic() + 15
    while balancer.minted.get(url, 0) < count:
        assert time.monotonic() < deadline, balancer
        await balancer._moment(0.02)


async def test_who_is_told_to_end_says_that_it_is_not_ready_and_still_serves(brokers):
    leaving = brokers[0]
    async with httpx.AsyncClient(trust_env=False, base_url=leaving.url) as http:
        assert (await http.get("/agents")).headers.get("connection") != "close"
        leaving.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            while (ready := await http.get("/ready")).status_code != 503:
                pass
        assert ready.json() == {"status": "leaving"}
        served = await http.post("/realtime/token", json={})
    assert (served.status_code, served.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("impatience", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_the_waiting(brokers, impatience):
    leaving = brokers[0]
    leaving.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    async with httpx.AsyncClient(trust_env=False) as http:
        while (await http.get(f"{leaving.url}/ready")).status_code != 503:
            pass
    leaving.process.send_signal(impatience)
    async with asyncio.timeout(5):
        await leaving.process.wait()
    assert time.monotonic() - began < 5


async def test_every_turn_that_was_answered_202_outlives_the_service_that_took_it(tmp_path):
    service = Plan(tmp_path, settings={"DRAIN_S": "0.3"}).services()[1]
    running = await start(service, tmp_path, fork)
    try:
        await running.answers()
        taken = await posted_until_it_is_gone(running)
        assert len(taken) > 20
        running = await start(service, tmp_path, fork)
        await running.answers()
        async with httpx.AsyncClient(trust_env=False) as http:
            episode = (await http.get(f"{service.url}/memory/episodes/s-1")).json()
    finally:
        await running.kill()
    assert {line["turn_id"] for line in episode["transcript"]} >= taken


async def posted_until_it_is_gone(running) -> set[str]:
    """Ids that were answered 202 by a service that was told to end in the middle of it."""
    taken: set[str] = set()

    async def post(sender) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            for number in range(10_000):
                turn = {"text": "x", "speaker": "user", "turn_id": f"t{sender}-{number}", "session_id": "s-1"}
                try:
                    answer = await http.post(f"{running.url}/memory/enrich", json=turn)
                except httpx.TransportError:
                    return  # who comes that late is answered nothing: it keeps what it has, and posts again
                assert answer.status_code == 202, answer.text
                taken.add(turn["turn_id"])
                if len(taken) == 20:
                    running.process.send_signal(signal.SIGTERM)

    async with asyncio.timeout(15):
        await asyncio.gather(*(post(sender) for sender in range(8)))
        await running.process.wait()
    return taken

"""Reading back what was said."""

from __future__ import annotations

import asyncio

from tests.enrichment.build import DownMemory, FakeMemory
from tests.enrichment.service import (
    CLOCK,
    as_person,
    delivered,
    grant,
    problem,
    said,
    service,
    transcript,
)


async def test_a_turn_that_is_not_yet_in_memory_is_already_in_its_episode(tmp_path, keys):
    async with service(tmp_path, memory=DownMemory()) as client:
        await client.post("/memory/enrich", json={"grant": grant("poc-user"), "turns": [said("u1")]})
        (line,) = await transcript(client, "s-1")
        assert (line["content"], line["delivered"]) == ("Hello", False)
        assert (await client.get("/memory/episodes")).json() == {"episodes": [{"id": "s-1", "turns": 0}]}


async def test_the_broker_reads_the_facts_of_the_grant_s_person(signed_in):
    body = {"grant": grant("dev:alice"), "turns": [said("u1", "I live in Paris")]}
    await signed_in.post("/memory/enrich", json=body)
    await delivered(signed_in, "s-1", 1, as_person("alice"))
    facts = {}
    for name in ("alice", "bob"):
        headers = {"Authorization": f"Bearer {grant(f'dev:{name}', 's-9')}"}
        facts[name] = (await signed_in.get("/memory/context?session_id=s-9", headers=headers)).json()["facts"]
    assert facts == {"alice": ['2026-11-20: the person said "I live in Paris"'], "bob": []}


async def test_reading_needs_somebody(signed_in):
    for path in ("/memory/episodes", "/memory/episodes/s-1", "/memory/context"):
        problem(await signed_in.get(path), 401, "not-signed-in")
        problem(await signed_in.get(path, headers={"Authorization": "Bearer a.b.c"}), 401, "not-signed-in")


async def test_what_was_accepted_before_a_restart_is_delivered_after_it(tmp_path, keys):
    async with service(tmp_path, memory=DownMemory()) as client:
        await client.post("/memory/enrich", json={"grant": grant("poc-user"), "turns": [said("u1")]})
    memory = FakeMemory()
    CLOCK.pass_s(60)
    async with service(tmp_path, memory=memory), asyncio.timeout(5):
        assert await memory.arrived.get() == "u1"

"""Reading back what was said."""

from __future__ import annotations

import asyncio

import pytest

from enrichment.memory.port import Episode, Episodes, Recalled
from enrichment.reading import CONTEXT_CHARACTERS, QUOTE_CHARACTERS, Reading
from tests.enrichment.build import DownMemory, FakeMemory, turn
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
        assert (await client.get("/memory/episodes")).json() == {
            "episodes": [{"id": "s-1"}],
            "next_cursor": None,
        }


class DeliveredAfterTheFirstRead:
    """An outbox and a memory: the one session of both moves from here to there when somebody has looked."""

    def __init__(self):
        self.is_delivered = False

    async def pending_sessions(self, person):
        was_delivered, self.is_delivered = self.is_delivered, True
        return [] if was_delivered else ["s"]

    async def episodes(self, person, *, limit, cursor=None):
        was_delivered, self.is_delivered = self.is_delivered, True
        return Episodes([Episode("s", 1, "then", "then", "Hello")] if was_delivered else [], None)


async def test_a_session_that_is_delivered_between_the_two_reads_is_listed_once():
    both = DeliveredAfterTheFirstRead()
    listed = await Reading(both, both, 12).episodes("p", limit=9, cursor=None)
    assert [episode["id"] for episode in listed["episodes"]] == ["s"]


class Recalling(FakeMemory):
    """Recalls the given turns."""

    def __init__(self, *turns):
        super().__init__()
        self.turns = turns

    async def recall(self, person, session_id, *, limit):
        return Recalled(turns=self.turns[:limit])


async def recalled(*turns):
    return await Reading(None, Recalling(*turns), 50).context("p", None)


async def test_facts_fit_into_what_the_broker_reads_however_long_the_turns(tmp_path, keys):
    memory = Recalling(*(turn(f"t{n}", "語" * 3000) for n in range(12)))
    async with service(tmp_path, memory=memory) as client:
        response = await client.get("/memory/context")
    facts = response.json()["facts"]
    assert len(response.content) < 32 * 1024
    assert 1 < len(facts) < 12
    assert facts[0] == f'2026-11-20: the person said "{"語" * (QUOTE_CHARACTERS - 1)}…"'
    assert len(response.json()["context"]) <= CONTEXT_CHARACTERS


async def test_when_not_all_facts_fit_the_newest_are_told():
    turns = [turn(f"t{n}", f"number {n} " + "x" * 300) for n in range(30)]
    context = await recalled(*turns)
    told = [f'2026-11-20: the person said "{each.text}"' for each in turns]
    assert context["facts"] == told[: len(context["facts"])]
    assert context["context"] == "\n".join(context["facts"])
    assert CONTEXT_CHARACTERS - 400 < len(context["context"]) <= CONTEXT_CHARACTERS


async def test_what_fits_exactly_is_told_whole():
    assert (await recalled(turn("t", "x" * QUOTE_CHARACTERS)))["facts"][0].endswith('x"')


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


async def test_a_search_finds_what_either_side_said_and_only_in_the_caller_s_memory(signed_in):
    turns = [
        said("u1", "Where is the Müller dashboard?"),
        said("a1", "On the Müller site", speaker="assistant"),
    ]
    await signed_in.post("/memory/enrich", json={"grant": grant("dev:alice"), "turns": turns})
    await delivered(signed_in, "s-1", 2, as_person("alice"))

    async def found(name, query):
        response = await signed_in.post("/memory/search", json={"query": query}, headers=as_person(name))
        return {(turn["session_id"], turn["turn_id"]) for turn in response.json()["turns"]}

    assert await found("alice", "muller") == {("s-1", "u1"), ("s-1", "a1")}
    assert await found("alice", "OR *(") == set()
    assert await found("bob", "muller") == set()


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"query": "x" * 401}, {"query": "a", "limit": 51}])
async def test_a_search_for_nothing_or_too_much_is_a_problem(open_to_all, body):
    problem(await open_to_all.post("/memory/search", json=body), 422, "invalid-request")


async def test_sessions_come_in_pages_and_each_once(open_to_all):
    for number in range(5):
        posted = {"grant": grant("poc-user", f"s-{number}"), "turns": [said("u1")]}
        await open_to_all.post("/memory/enrich", json=posted)
        await delivered(open_to_all, f"s-{number}", 1)
    seen, cursor = [], ""
    while cursor is not None:
        page = (await open_to_all.get("/memory/episodes", params={"limit": 2, "cursor": cursor})).json()
        seen += [episode["id"] for episode in page["episodes"]]
        cursor = page["next_cursor"]
    assert seen == ["s-4", "s-3", "s-2", "s-1", "s-0"]


@pytest.mark.parametrize("asked", ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x", "cursor=1.5"])
async def test_a_page_that_cannot_be_is_a_problem(open_to_all, asked):
    problem(await open_to_all.get(f"/memory/episodes?{asked}"), 422, "invalid-request")

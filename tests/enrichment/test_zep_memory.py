"""Zep Community Edition's traps, each closed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from zep_python.base_client import AsyncBaseClient

from enrichment.memory.parts import message_id
from enrichment.memory.port import Forgotten, Recalled, Rejected, Unreachable
from enrichment.memory.zep import ZepMemory
from enrichment.memory.zep_wire import refuse, retry_after_s, user_id
from enrichment.turns import Speaker, Turn
from enrichment.wiring import zep_http
from tests.enrichment.build import SPOKEN_AT, turn
from tests.enrichment.zeps import everything_it_says, new_session, simulated_zep
from tests.simulator.zep import KEY

CANARY = "a canary that nobody may read"
AUTHORIZATION = {"Authorization": f"Api-Key {KEY}"}


@pytest.fixture
async def zep():
    async with simulated_zep() as zep:
        yield zep


@pytest.fixture
def memory(zep):
    return zep.memory()


@pytest.fixture
async def by_hand(zep):
    """Asks the simulated server directly, as somebody else would."""
    async with httpx.AsyncClient(base_url=f"{zep.url}/api/v2", headers=AUTHORIZATION) as http:
        yield http


async def refused_by(handler, *turns):
    """What remembering raises when ``handler`` answers in Zep's place, and the requests it got."""
    requests = []

    def answer(request):
        requests.append(request)
        return handler(request)

    hooks = {"response": [refuse]}
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks=hooks)
    memory = ZepMemory(http, "http://zep.example.org", KEY)
    with pytest.raises((Unreachable, Rejected)) as caught:
        await memory.remember("p", "s", turns or [turn("u1")])
    await memory.close()
    return caught.value, requests


# Ids


@pytest.mark.parametrize(
    "session_id", ["../users/U?", "..", "a/b", "a?b", "a%2e%2e", "a\n", "", ".", "x" * 65, "ü", "a b"]
)
async def test_an_id_that_could_be_another_address_reaches_no_sdk(memory, zep, session_id):
    await memory.remember("victim", "s-1", [turn("u1")])
    before = await memory.episode("victim", "s-1")
    with pytest.raises(Rejected) as caught:
        await memory.remember("p", session_id, [turn("u1")])
    assert caught.value.turn_id == "u1"
    assert await memory.episode("p", session_id) == []
    assert await memory.forget_session("p", session_id) == Forgotten(0, 0)
    assert await memory.episode("victim", "s-1") == before
    assert set(zep.store.sessions) == {"s-1"}


async def test_the_sdk_alone_would_have_erased_another_person(memory, zep):
    """The reason for the test above: if this fails the SDK has learned to quote."""
    await memory.remember("victim", "s-1", [turn("u1")])
    async with httpx.AsyncClient() as http:
        sdk = AsyncBaseClient(base_url=f"{zep.url}/api/v2", api_key=KEY, timeout=5, httpx_client=http)
        await sdk.memory.delete(f"../users/{user_id('victim')}?")
    assert zep.store.users == {}


def test_a_person_s_id_in_zep_is_safe_stable_and_tells_nothing():
    hostile = user_id("tid:../../users/U?\x00")
    assert hostile == user_id("tid:../../users/U?\x00")
    assert hostile != user_id("tid:../../users/U?")
    assert set(hostile) <= set("p-0123456789abcdef")
    assert len(hostile) == 66


async def test_a_session_of_another_person_gets_no_word(memory, zep):
    await memory.remember("alice", "s", [turn("u1")])
    with pytest.raises(Rejected) as caught:
        await memory.remember("bob", "s", [turn("u2", CANARY), turn("u3")])
    assert caught.value.turn_id == "u2"
    assert len(zep.store.sessions["s"].messages) == 1


async def test_a_session_that_is_nobody_s_gets_no_word(memory, by_hand):
    message = {"role": "user", "role_type": "user", "content": "written before there was a session"}
    assert (await by_hand.post("/sessions/s/memory", json={"messages": [message]})).status_code == 201
    with pytest.raises(Rejected):
        await memory.remember("alice", "s", [turn("u1")])
    assert await memory.episode("alice", "s") == []


# The environment


async def test_no_variable_of_the_environment_leads_elsewhere(zep, monkeypatch):
    monkeypatch.setenv("ZEP_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ZEP_API_KEY", "another")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await zep.memory().remember("p", "s", [turn("u1")])
    assert "s" in zep.store.sessions


async def test_every_request_has_a_deadline():
    _, requests = await refused_by(lambda _request: httpx.Response(503))
    limits = requests[0].extensions["timeout"]
    assert set(limits) == {"connect", "read", "write", "pool"}
    assert all(limit and limit < 20 for limit in limits.values())


# Writing


async def test_a_user_and_a_session_come_before_the_first_word(memory, zep):
    await memory.remember("tid:alice", "s", [turn("u1")])
    assert zep.store.sessions["s"].user_id == user_id("tid:alice")
    assert set(zep.store.users) == {user_id("tid:alice")}


async def test_ten_deliveries_to_a_new_session_lose_nothing(zep, by_hand):
    """By hand the same ten lose some: the server answers 400 and keeps nothing of them."""

    def post(number):
        message = {"role_type": "user", "content": f"turn {number}"}
        return by_hand.post("/sessions/by-hand/memory", json={"messages": [message]})

    statuses = [answer.status_code for answer in await asyncio.gather(*map(post, range(10)))]
    stored = len(zep.store.sessions["by-hand"].messages)
    assert stored == statuses.count(201) < 10
    assert statuses.count(400) == 10 - stored

    memory = zep.memory()
    await asyncio.gather(*(memory.remember("p", "ours", [turn(f"t{number}")]) for number in range(10)))
    assert len(await memory.episode("p", "ours")) == 10


async def test_a_failure_after_storing_is_repeated_into_one_message(zep):
    memory = zep.memory("500-after-storing")
    with pytest.raises(Unreachable):
        await memory.remember("p", "s", [turn("u1")])
    await memory.remember("p", "s", [turn("u1")])
    assert [each.turn_id for each in await memory.episode("p", "s")] == ["u1"]
    assert len(zep.store.sessions["s"].messages) == 1


async def test_a_turn_that_was_stored_by_a_failing_request_is_no_fact(zep):
    """Nothing in Zep's API repairs it; the README says so."""
    failing = zep.memory("500-after-storing")
    with pytest.raises(Unreachable):
        await failing.remember("p", "s", [turn("u1", "I bought a greenhouse")])
    await zep.memory().remember("p", "s", [turn("u1", "I bought a greenhouse")])
    assert (await zep.memory().search("p", "greenhouse", limit=3)).facts == []


async def test_a_user_that_was_made_by_a_failing_request_is_used(zep):
    memory = zep.memory("users-500")
    with pytest.raises(Unreachable):
        await memory.remember("p", "s", [turn("u1")])
    await memory.remember("p", "s", [turn("u1")])
    assert len(await memory.episode("p", "s")) == 1


async def test_each_message_goes_alone_with_an_id_and_what_zep_cannot_know(memory, zep):
    said = turn("u1", "Hello", after="a0", speaker="assistant")
    await memory.remember("p", "s", [said])
    (message,) = zep.store.sessions["s"].messages
    assert message["uuid"] == message_id("p", "s", "u1", 0)
    assert (message["role"], message["role_type"], message["content"]) == ("assistant", "assistant", "Hello")
    assert message["metadata"] == {
        "turn_id": "u1",
        "previous_turn_id": "a0",
        "session_id": "s",
        "speaker": "assistant",
        "agent_id": "elena",
        "interrupted": False,
        "spoken_at": "2026-11-20T08:00:00+00:00",
        "part": 0,
        "parts": 1,
        "provenance": "client_reported",
    }


async def test_31_at_once_are_stored_once_although_zep_refuses_31(memory, zep, by_hand):
    await by_hand.post("/users", json={"user_id": "u"})
    await by_hand.post("/sessions", json={"session_id": "by-hand", "user_id": "u"})
    messages = [{"role_type": "user", "content": str(number)} for number in range(31)]
    answer = await by_hand.post("/sessions/by-hand/memory", json={"messages": messages})
    assert answer.status_code == 400
    assert answer.text.endswith('{"message":"OK"}')
    assert len(zep.store.sessions["by-hand"].messages) == 31

    await memory.remember("p", "s", [turn(f"t{number}") for number in range(31)])
    assert len(zep.store.sessions["s"].messages) == 31


async def test_no_part_is_longer_than_zep_takes(memory, zep, by_hand):
    await memory.remember("p", "s", [turn("u1", "x" * 2_501)])
    assert [len(each["content"]) for each in zep.store.sessions["s"].messages] == [2_500, 1]
    message = {"role_type": "user", "content": "x" * 2_501}
    assert (await by_hand.post("/sessions/s/memory", json={"messages": [message]})).status_code == 400


async def test_a_known_id_refuses_the_whole_batch_it_is_in(memory, zep, by_hand):
    """The reason why each goes alone."""
    await memory.remember("p", "s", [turn("u1")])
    known = {"uuid": message_id("p", "s", "u1", 0), "role_type": "user", "content": "known"}
    batch = {"messages": [{"role_type": "user", "content": "new"}, known]}
    answer = await by_hand.post("/sessions/s/memory", json=batch)
    assert (answer.status_code, answer.json()["message"]) == (400, "bad request: message_uuid already exists")
    assert len(zep.store.sessions["s"].messages) == 1


# What goes wrong


async def test_a_refused_turn_is_named_and_not_quoted(zep):
    with pytest.raises(Rejected) as caught:
        await zep.memory("refuses-and-quotes").remember("p", "s", [turn("u1", CANARY)])
    assert (caught.value.turn_id, str(caught.value)) == ("u1", "Zep refuses the turn: HTTP 400")
    assert CANARY not in everything_it_says(caught.value)


@pytest.mark.parametrize(
    ("scenario", "reason", "wait_s"),
    [
        ("throttled", "Zep answered 429", 7),
        ("throttled-until-a-date", "Zep answered 429", 600),
        ("unavailable", "Zep answered 503", None),
        ("redirect", "Zep answered 302", None),
        ("html", "Zep answered something that is no answer", None),
        ("no-such-key", "Zep answered 401", None),
    ],
)
async def test_what_may_pass_is_unreachable_and_says_for_how_long(zep, scenario, reason, wait_s):
    memory = zep.memory(scenario)
    asked = [memory.remember("p", "s", [turn("u1")]), memory.episode("p", "s"), memory.episodes("p", limit=1)]
    for asking in [*asked, memory.recall("p", None, limit=1), memory.forget_person("p")]:
        with pytest.raises(Unreachable) as caught:
            await asking
        assert (str(caught.value), caught.value.retry_after_s) == (reason, wait_s)


async def test_nobody_who_listens_is_unreachable():
    memory = ZepMemory(zep_http(), "http://127.0.0.1:9", KEY)
    with pytest.raises(Unreachable, match="ConnectError"):
        await memory.remember("p", "s", [turn("u1", CANARY)])
    await memory.close()


async def test_the_sdk_repeats_nothing():
    error, requests = await refused_by(lambda _request: httpx.Response(503))
    assert isinstance(error, Unreachable)
    assert len(requests) == 1


async def test_a_session_made_by_somebody_else_meanwhile_loses_no_message():
    """Zep says 400 for it, and 400 is else a turn that it will never take."""

    def answer(request):
        if request.method == "POST":
            return httpx.Response(
                400, json={"message": "bad request: session already exists with session_id: s"}
            )
        return httpx.Response(200, json={"session_id": "s", "user_id": user_id("p")})

    error, _ = await refused_by(answer)
    assert isinstance(error, Unreachable)


async def test_a_refusal_that_quotes_a_turn_is_not_taken_for_success(zep):
    """Whoever says these words would otherwise lose them."""
    said = turn("u1", "message_uuid already exists")
    with pytest.raises(Rejected):
        await zep.memory("refuses-and-quotes").remember("p", "s", [said])


async def test_of_several_turns_the_first_ones_stay_when_a_later_one_fails():
    def answer(request):
        if b'"turn_id":"u2"' in request.content:
            return httpx.Response(413, json={"message": "request body too large"})
        return httpx.Response(200, json={"session_id": "s", "user_id": user_id("p"), "message": "OK"})

    error, _ = await refused_by(answer, turn("u1"), turn("u2"), turn("u3"))
    assert isinstance(error, Rejected)
    assert error.turn_id == "u2"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0", 0),
        ("999999999", 600),
        ("Fri, 20 Nov 2026 08:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 07:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
    ],
)
def test_a_wish_to_wait_is_read_in_both_its_forms(value, seconds):
    assert retry_after_s(value, now=datetime(2026, 11, 20, 8, tzinfo=UTC)) == seconds


# Reading


async def test_messages_that_somebody_else_wrote_are_no_turns_of_ours(memory, by_hand):
    await memory.remember("p", "s", [turn("u1")])
    for metadata in (
        None,
        {"turn_id": "../x"},
        {"turn_id": "u9", "part": 0, "parts": 1, "speaker": "system"},
    ):
        message = {"role_type": "user", "content": "foreign", "metadata": metadata}
        await by_hand.post("/sessions/s/memory", json={"messages": [message]})
    assert [each.turn_id for each in await memory.episode("p", "s")] == ["u1"]


async def test_a_turn_of_which_a_part_is_missing_is_not_there_yet(memory, zep):
    await memory.remember("p", "s", [turn("u1"), turn("long", "x" * 5_000)])
    zep.store.sessions["s"].messages.pop()
    assert [each.turn_id for each in await memory.episode("p", "s")] == ["u1"]


async def test_without_the_process_that_makes_facts_a_session_can_still_be_recalled(zep):
    memory = zep.memory("facts-down")
    await memory.remember("p", "s", [turn(f"u{number}") for number in range(9)])
    recalled = await memory.recall("p", "s", limit=2)
    assert [each.turn_id for each in recalled.turns] == ["u8", "u7"]
    assert not recalled.facts


async def test_facts_of_older_sessions_are_recalled_in_a_new_one(memory):
    await memory.remember("p", "old", [turn("u1", "I bought a greenhouse")])
    await memory.remember("p", "new", [turn("u1", "How do I heat a greenhouse?")])
    recalled = await memory.recall("p", "new", limit=3)
    assert "It was said: I bought a greenhouse" in recalled.facts
    assert [each.text for each in recalled.turns] == ["How do I heat a greenhouse?"]


async def test_sessions_of_the_user_whose_ids_are_none_of_ours_are_left_alone(memory, by_hand):
    await memory.remember("p", "s", [turn("u1")])
    foreign = {"session_id": "../users/x", "user_id": user_id("p")}
    assert (await by_hand.post("/sessions", json=foreign)).status_code == 201
    assert [each.session_id for each in (await memory.episodes("p", limit=9)).page] == ["s"]


async def test_a_server_that_fails_for_strangers_says_that_they_are_strangers(zep):
    """What the real one answers was not observed."""
    memory = zep.memory("fails-for-strangers")
    assert (await memory.episodes("p", limit=9)).page == []
    assert await memory.recall("p", None, limit=9) == Recalled()
    assert await memory.forget_person("p") == Forgotten(0, 0)


# Forgetting


@pytest.mark.parametrize("scenario", ["keeps-users", "keeps-sessions"])
async def test_what_zep_says_it_has_erased_is_looked_for(zep, scenario):
    memory = zep.memory(scenario)
    await memory.remember("p", "s", [turn("u1")])
    forget = memory.forget_person("p") if scenario == "keeps-users" else memory.forget_session("p", "s")
    with pytest.raises(Unreachable):
        await forget


async def test_facts_outlive_their_session_and_go_with_the_person(memory):
    """Zep keeps facts by person; the README says so."""
    await memory.remember("p", "s", [turn("u1", "I bought a greenhouse")])
    await memory.forget_session("p", "s")
    assert len((await memory.search("p", "greenhouse", limit=3)).facts) == 1
    await memory.forget_person("p")
    assert (await memory.search("p", "greenhouse", limit=3)).facts == []


async def test_a_session_forgotten_at_another_place_is_made_again_for_its_owner(zep):
    """A message alone would make one that is nobody's."""
    here, there = zep.memory(), zep.memory()
    await here.remember("p", "s", [turn("u1")])
    await there.forget_session("p", "s")
    await here.remember("p", "s", [turn("u2")])
    assert zep.store.sessions["s"].user_id == user_id("p")


async def test_turns_without_a_time_are_dated_by_our_clock(zep):
    memory = ZepMemory(zep_http(), zep.url, KEY, now=SPOKEN_AT.timestamp)
    await memory.remember("p", new_session(), [Turn("u1", Speaker.USER, "Hello")])
    (told,) = (await memory.episodes("p", limit=1)).page
    assert told.first_at == "2026-11-20T08:00:00+00:00"
    await memory.close()


async def test_a_person_with_more_than_can_be_counted_in_time_is_erased_all_the_same(
    memory, zep, monkeypatch
):
    await memory.remember("p", "s", [turn("a")])
    monkeypatch.setattr("enrichment.memory.counting.COUNT_S", 0.0)
    assert await memory.forget_person("p") == Forgotten(1, None)
    assert await memory.episode("p", "s") == []

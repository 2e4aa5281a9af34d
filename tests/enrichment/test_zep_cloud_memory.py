"""Zep Cloud: ids that are not ours, repeats, and erasing that takes its time."""

from __future__ import annotations

import httpx
import pytest

from enrichment.memory.addresses import SqliteAddresses
from enrichment.memory.port import Forgotten, ForgottenLater, Rejected, Unreachable
from enrichment.memory.zep_cloud import ZepCloudMemory
from enrichment.memory.zep_wire import refuse, user_id
from tests.enrichment.build import turn
from tests.enrichment.zeps import at_once, everything_it_says, simulated_zep_cloud
from tests.simulator.zep_cloud import KEY

CANARY = "a canary that nobody may read"


@pytest.fixture
async def cloud(tmp_path):
    async with simulated_zep_cloud(tmp_path) as cloud:
        yield cloud


@pytest.fixture
async def memory(cloud):
    return cloud.memory()


@pytest.fixture
async def addresses(tmp_path):
    """The file in which the memories keep where things are."""
    addresses = SqliteAddresses(tmp_path / "addresses.db")
    yield addresses
    await addresses.close()


def only_thread(cloud):
    (thread,) = cloud.store.threads
    return thread


# Ids


async def test_what_zep_has_made_is_found_again_by_whoever_comes_later(cloud):
    await cloud.memory().remember("p", "s", [turn("u1")])
    await cloud.memory().remember("p", "s", [turn("u2")])
    assert len(cloud.store.users) == len(cloud.store.threads) == 1
    assert [each.turn_id for each in await cloud.memory().episode("p", "s")] == ["u1", "u2"]


async def test_a_thread_that_was_made_and_not_kept_is_not_made_again(cloud, addresses):
    """As after a crash between the two: the idempotency key gives the same one."""
    await cloud.memory().remember("p", "s", [turn("u1")])
    await addresses.forget_under(user_id("p"))
    await cloud.memory().remember("p", "s", [turn("u2")])
    assert len(cloud.store.threads) == 1


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("user", lambda memory: memory.remember("p", "new", [turn("u1")])),
        ("graph", lambda memory: memory.search("p", "anything", limit=1)),
        ("thread/s", lambda memory: memory.episode("p", "s")),
        ("thread/s", lambda memory: memory.remember("p", "s", [turn("u1")])),
        ("thread/s", lambda memory: memory.forget_session("p", "s")),
    ],
    ids=["make a thread", "search", "read", "write", "erase"],
)
async def test_a_kept_id_that_is_no_uuid_reaches_no_address(memory, cloud, addresses, name, ask):
    await memory.remember("victim", "s", [turn("u1")])
    await memory.remember("p", "other", [turn("u1")])
    before = len(cloud.store.answers)
    await addresses.forget(f"{user_id('p')}/{name}")
    await addresses.keep(f"{user_id('p')}/{name}", f"../users/{next(iter(cloud.store.users))}?")
    with pytest.raises(Unreachable):
        await ask(memory)
    assert len(cloud.store.answers) == before


async def test_an_id_of_ours_that_leaves_the_grammar_is_rejected(memory, cloud):
    with pytest.raises(Rejected):
        await memory.remember("p", "../users/x", [turn("u1")])
    assert await memory.episode("p", "../users/x") == []
    assert not cloud.store.users


# Writing


async def test_a_failure_after_storing_is_repeated_into_one_message(cloud):
    memory = cloud.memory("500-after-storing")
    with pytest.raises(Unreachable):
        await memory.remember("p", "s", [turn("u1")])
    await memory.remember("p", "s", [turn("u1")])
    assert len(cloud.store.messages[only_thread(cloud)]) == 1


async def test_what_zep_doubles_all_the_same_is_read_once(cloud):
    memory = cloud.memory("forgets-idempotency")
    for _ in range(2):
        await memory.remember("p", "s", [turn("u1", "Hello " * 1_000), turn("u2")])
    assert len(cloud.store.messages[only_thread(cloud)]) == 6
    assert [each.turn_id for each in await memory.episode("p", "s")] == ["u1", "u2"]


async def test_a_message_says_when_it_was_said_and_no_more_than_zep_takes(memory, cloud):
    await memory.remember("p", "s", [turn("u1", "x" * 4_001, after="a0")])
    first, second = cloud.store.messages[only_thread(cloud)]
    assert (len(first["content"]), len(second["content"])) == (4_000, 1)
    assert first["reference_time"] == "2026-11-20T08:00:00+00:00"
    assert len(first["metadata"]) == 10
    assert first["metadata"]["provenance"] == "client_reported"


async def test_what_the_agent_says_becomes_no_fact_about_the_person(memory):
    await memory.remember("p", "s", [turn("a1", "You bought a greenhouse", speaker="assistant")])
    assert (await memory.search("p", "greenhouse", limit=3)).facts == []


# What goes wrong


async def test_a_refused_turn_is_named_and_not_quoted(cloud):
    with pytest.raises(Rejected) as caught:
        await cloud.memory("refuses-and-quotes").remember("p", "s", [turn("u1", CANARY)])
    assert caught.value.turn_id == "u1"
    assert CANARY not in everything_it_says(caught.value)


async def test_a_rate_limit_says_for_how_long(cloud):
    with pytest.raises(Unreachable) as caught:
        await cloud.memory("throttled").remember("p", "s", [turn("u1")])
    assert caught.value.retry_after_s == 7


async def test_a_wrong_key_parks_no_turn(cloud):
    with pytest.raises(Unreachable, match="401"):
        await cloud.memory("no-such-key").remember("p", "s", [turn("u1")])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text=CANARY),
        httpx.Response(200, json={"uuid": CANARY, "graph_uuid": None}),
        httpx.Response(400, json={"error": {"code": "invalid_identifier", "message": CANARY}}),
        httpx.Response(503, text=CANARY),
    ],
    ids=["no JSON", "no ids", "old ids", "down"],
)
async def test_an_answer_that_is_none_is_unreachable_and_not_quoted_and_asked_once(addresses, answer):
    asked = []

    def respond(request):
        asked.append(request)
        return answer

    transport = httpx.MockTransport(respond)
    http = httpx.AsyncClient(transport=transport, event_hooks={"response": [refuse]})
    memory = ZepCloudMemory(http, KEY, addresses, url="http://zep.example.org", pause=at_once)
    with pytest.raises(Unreachable) as caught:
        await memory.remember("p", "s", [turn("u1")])
    assert CANARY not in everything_it_says(caught.value)
    assert len(asked) == 1
    await http.aclose()


async def test_the_sdk_does_not_knock_again_where_nobody_listens(addresses):
    """By itself it tries three times, which is the delivery's to decide."""
    asked = []

    def refuse_connection(request):
        asked.append(request)
        raise httpx.ConnectError("refused")

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse_connection))
    memory = ZepCloudMemory(http, KEY, addresses, url="http://zep.example.org", pause=at_once)
    with pytest.raises(Unreachable, match="ConnectError"):
        await memory.remember("p", "s", [turn("u1")])
    assert len(asked) == 1
    await http.aclose()


async def test_addresses_that_cannot_be_read_are_a_reason_to_come_back_later(cloud):
    closed = cloud.memory()
    await closed.close()
    with pytest.raises(Unreachable):
        await closed.remember("p", "s", [turn("u1")])
    assert not cloud.store.users


# Recalling


async def test_facts_that_hold_no_more_are_not_recalled(memory):
    said = [turn("u1", "Once I lived in Cologne"), turn("u2", "I live in Bonn")]
    await memory.remember("p", "s", said)
    assert (await memory.recall("p", "s", limit=3)).facts == ["It was said: I live in Bonn"]


# Forgetting


async def test_erasing_is_done_when_zep_says_so_and_until_then_nothing_is_let_go(cloud, addresses):
    slow = cloud.memory("slow-erasure")
    await slow.remember("p", "s", [turn("u1")])
    with pytest.raises(ForgottenLater):
        await slow.forget_session("p", "s")
    with pytest.raises(ForgottenLater):
        await slow.forget_person("p")
    assert len(await addresses.under(user_id("p"))) == 3

    assert await cloud.memory().forget_person("p") == Forgotten(1, 1)
    assert not cloud.store.users
    assert not await addresses.under(user_id("p"))


async def test_an_erasure_that_failed_is_asked_again(cloud, addresses):
    failing = cloud.memory("failed-erasure")
    await failing.remember("p", "s", [turn("u1")])
    with pytest.raises(Unreachable):
        await failing.forget_session("p", "s")
    assert await cloud.memory().forget_session("p", "s") == Forgotten(1, 1)
    assert [each.key for each in await addresses.under(f"{user_id('p')}/thread/")] == []


async def test_a_person_whose_addresses_are_lost_is_erased_all_the_same(cloud, addresses):
    await cloud.memory().remember("p", "s", [turn("u1")])
    await addresses.forget_under(user_id("p"))
    await cloud.memory().forget_person("p")
    assert not cloud.store.users
    assert not cloud.store.threads


async def test_a_session_that_was_forgotten_and_goes_on_gets_a_thread_that_is_there(cloud):
    """Its idempotency key is the one of before, to which Zep answers with the thread that it has erased."""
    memory = cloud.memory()
    await memory.remember("p", "s", [turn("old")])
    await memory.forget_session("p", "s")
    await memory.remember("p", "s", [turn("new")])
    assert [each.turn_id for each in await memory.episode("p", "s")] == ["new"]

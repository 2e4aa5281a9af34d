"""What every memory promises, whichever backend keeps it.

With ZEP_TEST_URL and ZEP_TEST_KEY in the environment a real Zep Community Edition is held to it too.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from enrichment.memory.embedded import EmbeddedMemory
from enrichment.memory.port import Forgotten, Rejected
from enrichment.memory.zep import ZepMemory
from enrichment.turns import Turn
from enrichment.wiring import zep_http
from tests.enrichment.build import SPOKEN_AT, turn
from tests.enrichment.zeps import new_person, new_session, simulated_zep, simulated_zep_cloud

LIVE_URL = os.environ.get("ZEP_TEST_URL", "")
LIVE = ["zep-live"] if LIVE_URL else []
BACKENDS = ["embedded", "zep", "zep-cloud"]


@asynccontextmanager
async def embedded(folder):
    memory = EmbeddedMemory(folder / "memory.db")
    try:
        yield memory
    finally:
        await memory.close()


@asynccontextmanager
async def live():
    memory = ZepMemory(zep_http(), LIVE_URL.rstrip("/"), os.environ.get("ZEP_TEST_KEY", ""))
    try:
        yield memory
    finally:
        await memory.close()


@asynccontextmanager
async def opened(backend, folder):
    if backend == "embedded":
        async with embedded(folder) as memory:
            yield memory
    elif backend == "zep-live":
        async with live() as memory:
            yield memory
    else:
        async with simulated_zep() if backend == "zep" else simulated_zep_cloud(folder) as simulated:
            yield simulated.memory()


@pytest.fixture(params=BACKENDS + LIVE)
async def memory(request, tmp_path):
    async with opened(request.param, tmp_path) as memory:
        yield memory


@pytest.fixture(params=BACKENDS)
async def searching(request, tmp_path):
    """Not the real Zep: it makes facts when it has time, or never when nothing extracts them."""
    async with opened(request.param, tmp_path) as memory:
        yield memory


@pytest.fixture
def alice():
    return new_person()


@pytest.fixture
def bob():
    return new_person()


@pytest.fixture
def session():
    return new_session()


async def ids(memory, person, session):
    return [each.turn_id for each in await memory.episode(person, session)]


def assert_nothing(told):
    """Neither facts nor turns."""
    assert not told.facts
    assert not told.turns


async def test_a_turn_is_kept_with_all_it_says_in_order_of_arrival(memory, alice, session):
    said = [
        turn("u1", "Grüße aus Köln 👋", after="z"),
        turn("a1", "Hello!", after="u1", speaker="assistant"),
        Turn("u2", turn("x").speaker, "bye", interrupted=True, spoken_at=SPOKEN_AT),
    ]
    await memory.remember(alice, session, said)
    assert list(await memory.episode(alice, session)) == said


async def test_keeping_a_turn_again_changes_nothing(memory, alice, session):
    first = [turn("u1", "yes"), turn("a1", speaker="assistant")]
    await memory.remember(alice, session, first)
    await memory.remember(alice, session, first)
    await memory.remember(alice, session, [*first, turn("u2")])
    assert await ids(memory, alice, session) == ["u1", "a1", "u2"]


async def test_keeping_nothing_is_allowed(memory, alice, session):
    await memory.remember(alice, session, [])
    assert not await memory.episode(alice, session)


@pytest.mark.parametrize(
    "text", ["word " * 1_600, "x" * 8_000, "👩‍👩‍👧 " * 1_300], ids=["words", "one word", "emoji"]
)
async def test_a_long_text_comes_back_whole(memory, alice, session, text):
    said = turn("long", text.strip())
    await memory.remember(alice, session, [said, turn("next")])
    assert list(await memory.episode(alice, session)) == [said, turn("next")]


@pytest.mark.parametrize("text", ['" OR 1=1 --', "NEAR(a b) *", "%s {0} \\u0000", "<b>&amp;", "\n\n\u2028"])
async def test_no_text_is_more_than_text(memory, alice, session, text):
    await memory.remember(alice, session, [turn("u1", text)])
    await memory.search(alice, text, limit=3)
    await memory.recall(alice, session, limit=3)
    assert (await memory.episode(alice, session))[0].text == text


async def test_more_turns_than_fit_into_a_page_are_all_there_in_order(memory, alice, session):
    said = [turn(f"t{number}") for number in range(31)]
    await memory.remember(alice, session, said)
    assert list(await memory.episode(alice, session)) == said


async def test_a_turn_that_does_not_say_when_is_given_a_time(memory, alice, session):
    await memory.remember(alice, session, [Turn("u1", turn("x").speaker, "Hello")])
    (kept,) = await memory.episode(alice, session)
    assert kept.spoken_at.tzinfo is not None


async def test_nobody_reads_what_is_another_s(memory, alice, bob, session):
    await memory.remember(alice, session, [turn("u1", "my secret garden")])
    await memory.remember(bob, new_session(), [turn("u1", "hello there")])
    assert not await memory.episode(bob, session)
    assert session not in {each.session_id for each in (await memory.episodes(bob, limit=9)).page}
    recalled = await memory.recall(bob, session, limit=9)
    found = await memory.search(bob, "secret garden", limit=9)
    assert "garden" not in f"{recalled} {found}"


async def test_nobody_writes_into_what_is_another_s(memory, alice, bob, session):
    await memory.remember(alice, session, [turn("u1", "mine")])
    try:
        await memory.remember(bob, session, [turn("u2", "theirs")])
    except Rejected as exc:
        assert exc.turn_id == "u2"  # noqa: PT017 - a memory may keep them apart as well
    assert await ids(memory, alice, session) == ["u1"]


async def test_episodes_come_newest_first_with_how_they_began(memory, alice):
    old, new = new_session(), new_session()
    later = Turn("b", turn("x").speaker, "more", spoken_at=SPOKEN_AT + timedelta(minutes=1))
    await memory.remember(alice, old, [turn("a", "first words " * 20), later])
    await memory.remember(alice, new, [turn("c", "later words")])
    episodes = (await memory.episodes(alice, limit=9)).page
    assert [(each.session_id, each.turns) for each in episodes] == [(new, 1), (old, 2)]
    assert episodes[1].opening == ("first words " * 20)[:80]
    assert (episodes[1].first_at, episodes[1].last_at) == (
        "2026-11-20T08:00:00+00:00",
        "2026-11-20T08:01:00+00:00",
    )


async def test_all_sessions_can_be_leafed_through(memory, alice):
    sessions = [new_session() for _ in range(5)]
    for session in sessions:
        await memory.remember(alice, session, [turn("u1")])
    leafed, cursor = [], None
    while len(leafed) < 9:
        episodes = await memory.episodes(alice, limit=2, cursor=cursor)
        leafed += [each.session_id for each in episodes.page]
        cursor = episodes.cursor
        if cursor is None:
            break
    assert leafed == sessions[::-1]


@pytest.mark.parametrize("cursor", ["rubbish!", "zzzz", "W1tbW1tb", "MjAyNi0xMS0yMA==", "\udcff"])
async def test_a_cursor_that_is_none_is_refused(memory, alice, cursor):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        await memory.episodes(alice, limit=2, cursor=cursor)


async def test_a_conversation_that_begins_recalls_what_the_person_said_last(memory, alice, session):
    said = [turn(f"u{number}", f"fact {number}") for number in range(9)]
    await memory.remember(alice, session, [*said, turn("a1", "an answer", speaker="assistant")])
    for asked in (None, new_session()):
        recalled = await memory.recall(alice, asked, limit=3)
        assert [each.text for each in recalled.turns] == ["fact 8", "fact 7", "fact 6"]


async def test_a_conversation_that_goes_on_recalls_its_own_words(memory, alice, session):
    await memory.remember(alice, session, [turn("u1", "about my garden")])
    assert "u1" in [each.turn_id for each in (await memory.recall(alice, session, limit=3)).turns]


async def test_of_a_stranger_nothing_is_known(memory, alice, session):
    for asked in (None, session):
        assert_nothing(await memory.recall(alice, asked, limit=3))
    assert_nothing(await memory.search(alice, "anything", limit=3))
    assert not (await memory.episodes(alice, limit=3)).page


async def test_a_search_finds_what_was_said_about_it(searching, alice, session):
    await searching.remember(alice, session, [turn("u1", "I bought a greenhouse"), turn("u2", "It rains")])
    found = await searching.search(alice, "greenhouse", limit=5)
    texts = [*found.facts, *(match.turn.text for match in found.turns)]
    assert len(texts) == 1
    assert "greenhouse" in texts[0]
    assert all(match.session_id == session for match in found.turns)


async def test_a_forgotten_session_is_gone_and_no_other(memory, alice, session):
    other = new_session()
    await memory.remember(alice, session, [turn("u1", "x" * 5_000), turn("u2")])
    await memory.remember(alice, other, [turn("u1")])
    assert await memory.forget_session(alice, session) == Forgotten(1, 2)
    assert not await memory.episode(alice, session)
    assert [each.session_id for each in (await memory.episodes(alice, limit=9)).page] == [other]


async def test_forgetting_again_or_what_never_was_is_no_error(memory, alice, session):
    await memory.remember(alice, session, [turn("u1")])
    await memory.forget_session(alice, session)
    assert await memory.forget_session(alice, session) == Forgotten(0, 0)
    await memory.forget_person(alice)
    assert await memory.forget_person(alice) == Forgotten(0, 0)


async def test_a_forgotten_person_is_gone_and_nobody_else(memory, alice, bob, session):
    for each in (session, new_session()):
        await memory.remember(alice, each, [turn("u1", "my garden"), turn("u2")])
    theirs = new_session()
    await memory.remember(bob, theirs, [turn("u1")])
    assert await memory.forget_person(alice) == Forgotten(2, 4)
    assert not await memory.episode(alice, session)
    assert_nothing(await memory.recall(alice, None, limit=9))
    assert_nothing(await memory.search(alice, "garden", limit=9))
    assert await ids(memory, bob, theirs) == ["u1"]


async def test_whoever_was_forgotten_may_begin_anew(memory, alice, session):
    await memory.remember(alice, session, [turn("u1")])
    await memory.forget_person(alice)
    anew = new_session()
    await memory.remember(alice, anew, [turn("u2")])
    assert await ids(memory, alice, anew) == ["u2"]
    assert [each.session_id for each in (await memory.episodes(alice, limit=9)).page] == [anew]


async def test_nobody_forgets_what_is_another_s(memory, alice, bob, session):
    await memory.remember(alice, session, [turn("u1")])
    assert await memory.forget_session(bob, session) == Forgotten(0, 0)
    await memory.forget_person(bob)
    assert await ids(memory, alice, session) == ["u1"]

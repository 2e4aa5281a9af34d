"""Conversations that outlive their calls, in a real browser: a loss, a limit, another agent.

A network that is cut for 20 s is tried by ``make bench-connect``.
"""

from __future__ import annotations

import pytest

from tests.web.surviving import moved, speak_across_the_limit, watch_moves

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET = {"ENABLE_PROACTIVE_GREETING": "false"}
MOST_SILENCE_MS = 1_500


async def test_a_call_that_reaches_its_limit_is_followed_by_another_and_the_person_hardly_notices(
    open_page, broker_for
):
    person = await open_page(await broker_for(CALL_LIMIT_S="12", **QUIET), speaks=True)
    assert await speak_across_the_limit(person) < MOST_SILENCE_MS
    shown = await person.transcript()
    episode = await person.remembered(4)
    assert [(line["role"], line["content"]) for line in episode] == [(who, text) for who, text in shown]
    assert [line["role"] for line in episode] == ["user", "assistant"] * 2
    await person.end()


async def test_a_session_that_azure_ends_unannounced_goes_on_too(open_page, broker_for):
    url = await broker_for(AZURE_VOICELIVE_MODEL="gpt-realtime-session-expires", **QUIET)
    person = await open_page(url)
    await watch_moves(person)
    await person.write("My sister is called Ada")
    await person.sees_turns(2)
    await moved(person, "loss")
    await person.write("And she plays chess")
    await person.sees_turns(4)
    assert [line["content"] for line in await person.remembered(4)][::2] == [
        "My sister is called Ada",
        "And she plays chess",
    ]


async def test_another_agent_takes_over_and_knows_what_was_said(open_page):
    person = await open_page()
    await watch_moves(person)
    await person.write("My sister is called Ada")
    await person.sees_turns(2)
    await person.page.evaluate("engram.session.switchTo('marcus')")
    await person.sees_turns(3)
    episode = await person.remembered(3)
    assert [line["agent_id"] for line in episode] == ["elena", "elena", "marcus"]
    assert await person.page.evaluate("moves") == ["agent"]

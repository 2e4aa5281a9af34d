"""Conversations that outlive their calls, in a real browser: a cut network, a limit, another agent."""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET = {"ENABLE_PROACTIVE_GREETING": "false"}
MOST_SILENCE_MS = 1_500

# The longest time in which the page could not have played anything of an agent's.
DEAF = """() => {
  const speaker = document.querySelector("#speaker");
  window.deaf = { longestMs: 0, sinceMs: null };
  setInterval(() => {
    const [track] = speaker.srcObject?.getAudioTracks() ?? [];
    if (track?.readyState === "live" && !track.muted) deaf.sinceMs = null;
    else deaf.longestMs = Math.max(deaf.longestMs, performance.now() - (deaf.sinceMs ??= performance.now()));
  }, 10);
}"""


async def moves_of(person):
    await person.page.evaluate(
        "() => { window.moves = []; engram.session.on('moved', ({ why }) => moves.push(why)) }"
    )


async def moved(person, *reasons):
    """Waits until the conversation moved for these reasons."""
    await person.page.wait_for_function(
        "(reasons) => moves.join() === reasons", arg=",".join(reasons), timeout=30_000
    )


async def test_a_network_that_is_cut_interrupts_the_conversation_and_does_not_end_it(
    open_page, broker_for, system
):
    person = await open_page(await broker_for(**QUIET), speaks=True)
    await moves_of(person)
    await person.start()
    await person.is_in("listening")
    await person.speak("paris")
    await person.sees_turns(2)
    await person.is_in("listening")

    await cut_off(person, system)
    await person.is_in("reconnecting")
    await cut_off(person, system, is_over=True)

    await moved(person, "loss")
    await person.is_in("listening")
    await person.speak("train")
    await person.sees_turns(4)
    shown = await person.transcript()
    episode = await person.remembered(4)
    assert [speaker for speaker, _ in shown] == ["user", "assistant"] * 2
    assert [(line["role"], line["content"]) for line in episode] == [(who, text) for who, text in shown]
    assert "train" in shown[2][1].lower()


async def cut_off(person, system, *, is_over=False):
    """Nothing comes through any more: of HTTP the browser says so, of the call it hears nothing."""
    await person.page.context.set_offline(not is_over)
    system["simulator"].process.send_signal(signal.SIGCONT if is_over else signal.SIGSTOP)


async def test_a_call_that_reaches_its_limit_is_followed_by_another_and_the_person_hardly_notices(
    open_page, broker_for
):
    person = await open_page(await broker_for(CALL_LIMIT_S="10", **QUIET), speaks=True)
    await moves_of(person)
    await person.start()
    await person.is_in("listening")
    await person.page.evaluate(DEAF)
    await person.speak("paris")
    await person.sees_turns(2)
    await moved(person, "limit")
    await person.speak("train")
    await person.sees_turns(4)

    assert await person.page.evaluate("deaf.longestMs") < MOST_SILENCE_MS
    shown = await person.transcript()
    episode = await person.remembered(4)
    assert [(line["role"], line["content"]) for line in episode] == [(who, text) for who, text in shown]
    assert [line["role"] for line in episode] == ["user", "assistant"] * 2
    await person.end()


async def test_a_session_that_azure_ends_unannounced_goes_on_too(open_page, broker_for):
    url = await broker_for(AZURE_VOICELIVE_MODEL="gpt-realtime-session-expires", **QUIET)
    person = await open_page(url)
    await moves_of(person)
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
    await moves_of(person)
    await person.write("My sister is called Ada")
    await person.sees_turns(2)
    await person.page.evaluate("engram.session.switchTo('marcus')")
    await person.sees_turns(3)
    episode = await person.remembered(3)
    assert [line["agent_id"] for line in episode] == ["elena", "elena", "marcus"]
    assert await person.page.evaluate("moves") == ["agent"]

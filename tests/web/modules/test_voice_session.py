"""The session behind the page: its states, its calls one after the other, and what it costs."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.modules.page import heard_by_azure, is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_talking_over_the_agent_resets_speaking(page):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), delta("A1", "Let me"), started("U1"))
    await is_in(page, "listening")
    await says(page, done("A1", "Let me tell"), sound("stopped"))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-state", "interrupted")


async def test_an_answer_that_never_comes_does_not_leave_the_page_thinking(page):
    await page.clock.install()
    await start(page)
    await says(page, started("U1"), stopped("U1"))
    await is_in(page, "thinking")
    await page.clock.fast_forward(22_000)
    await is_in(page, "listening")


async def test_a_sound_whose_end_azure_hides_does_not_leave_the_page_speaking(page):
    await page.clock.install()
    await start(page)
    await says(page, sound("started"))
    await is_in(page, "speaking")
    await page.clock.fast_forward(12_000)
    await is_in(page, "listening")


async def test_stop_talking_cancels_before_it_clears(page):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), done("A1", "A long story"))
    await is_in(page, "speaking")
    await page.click("#stop-talking")
    await is_in(page, "listening")
    await heard_by_azure(page, "response.cancel", "output_audio_buffer.clear")
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-state", "interrupted")


async def test_writing_opens_a_call_without_a_microphone(page, services):
    await page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('asked')) }"
    )
    await page.fill("#text", "Hello in writing")
    await page.press("#text", "Enter")
    await heard_by_azure(page, "conversation.item.create", "response.create")
    await is_in(page, "thinking")
    await says(page, added("U1", None, content=[{"type": "input_text", "text": "Hello in writing"}]))
    await expect(page.locator("#transcript li[data-saved=saved] p")).to_have_text(["Hello in writing"])
    await expect(page.locator("#mute")).to_be_hidden()


async def test_muting_is_a_state_and_keeps_the_call(page):
    await start(page)
    await page.click("#mute")
    await is_in(page, "muted")
    await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    await page.click("#mute")
    await is_in(page, "listening")


async def test_a_greeting_and_a_session_update_follow_the_connection(page, services):
    services.token = {"greeting": True, "session_update": {"type": "session.update", "session": {}}}
    await page.click("#start")
    await heard_by_azure(page, "session.update", "response.create")


async def test_a_blocked_microphone_costs_no_token(page, services):
    await page.evaluate(
        """() => {
          const blocked = new DOMException("", "NotAllowedError");
          navigator.mediaDevices.getUserMedia = () => Promise.reject(blocked);
        }"""
    )
    await page.click("#start")
    await expect(page.locator("#problem h2")).to_have_text("Your microphone is blocked")
    assert services.tokens == []


async def test_one_can_hang_up_while_the_browser_asks_for_the_microphone(page, services):
    await page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          const answered = new Promise((answer) => (window.answerPrompt = answer));
          navigator.mediaDevices.getUserMedia = async (wish) => {
            await answered;
            return (window.microphone = await open(wish));
          };
        }"""
    )
    await page.click("#start")
    await is_in(page, "connecting")
    await page.click("#start")
    await is_in(page, "ended")

    await page.evaluate("answerPrompt()")
    await page.evaluate("until(() => window.microphone?.getTracks()[0].readyState === 'ended', 'silence')")
    assert services.tokens == []


async def test_a_call_works_without_memory(page, services):
    services.memory = False
    await page.reload()
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "Hello."))
    await expect(page.locator("#transcript li p")).to_have_text(["Hello."])
    await expect(page.locator("#memory")).to_have_attribute("data-state", "off")
    assert services.posts == []


async def test_a_reload_shows_what_was_said_earlier_and_goes_on_in_the_same_session(page, services):
    await start(page)
    spoken = {"turn_id": "U1", "role": "user", "content": "What I said", "agent_id": "elena"}
    services.episode = [spoken | {"spoken_at": "2026-11-20T08:00:00Z", "delivered": True}]
    await page.reload()
    await expect(page.locator("#earlier li p")).to_have_text(["What I said"])
    await page.click("button[data-agent=sage]")
    await expect(page.locator("button[data-agent=sage]")).to_have_attribute("aria-pressed", "true")
    await start(page)
    assert services.tokens == [{"agent_id": "elena"}, {"agent_id": "sage", "session_id": "session-1"}]


async def test_closing_the_tab_while_the_agent_speaks_keeps_what_was_heard(page, services):
    await start(page)
    await says(page, added("A1", None, "assistant"), sound("started"), delta("A1", "I was about to"))
    await is_in(page, "speaking")
    await page.close(run_before_unload=False)
    await services.has_posted(["A1"])
    [kept] = services.posts[0]["turns"]
    assert (kept["text"], kept["interrupted"]) == ("I was about to", True)

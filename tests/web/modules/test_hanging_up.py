"""Hanging up: microphone and sound off at once, and the person's last words still written down."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.web.modules.page import is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, heard, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEEP_MICROPHONE = """() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => (window.microphone = await open(wish));
}"""
MICROPHONE = "microphone.getTracks()[0].readyState"


@pytest_asyncio.fixture(loop_scope="session")
async def talk(page):
    """A call with a question in it that is not yet transcribed."""
    await page.evaluate(KEEP_MICROPHONE)
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await is_in(page, "thinking")
    return page


async def end(page):
    await page.click("#start")
    await is_in(page, "ended")


def line(page, turn_id):
    return page.locator(f"#transcript [data-turn-id={turn_id}]")


async def hung_up(page):
    """Waits until Azure's end of the call is told that it is over."""
    await page.evaluate("until(() => azure.over, 'the end of the call')")


async def test_the_last_words_are_kept_when_they_are_transcribed_after_the_end(talk, services):
    await end(talk)
    assert await talk.evaluate(f"[{MICROPHONE}, document.querySelector('#speaker').srcObject]") == [
        "ended",
        None,
    ]

    await says(talk, heard("U1", "And goodbye."))

    await expect(line(talk, "U1")).to_have_attribute("data-saved", "saved")
    await expect(line(talk, "U1").locator("p")).to_have_text("And goodbye.")
    await hung_up(talk)
    assert services.all_turn_ids() == ["U1"]
    await expect(talk.locator("#problem")).to_be_hidden()


async def test_last_words_that_never_come_are_waited_for_two_seconds(page, services):
    await page.clock.install()
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await says(page, added("A1", "U1", "assistant"), sound("started"), delta("A1", "Well"))
    await is_in(page, "speaking")
    await end(page)
    await expect(page.locator("#partial [data-turn-id=U1]")).to_be_visible()

    await page.clock.fast_forward(2_000)

    await expect(line(page, "U1")).to_have_attribute("data-state", "unheard")
    await hung_up(page)
    await services.has_posted(["A1"])


async def test_an_answer_that_begins_after_the_end_was_never_heard_and_is_not_kept(talk, services):
    await end(talk)
    await says(
        talk, added("A1", "U1", "assistant"), sound("started"), delta("A1", "Good"), done("A1", "Good")
    )
    await says(talk, heard("U1", "And goodbye."))
    await hung_up(talk)
    await services.has_posted(["U1"])
    await expect(talk.locator("#transcript li p")).to_have_text(["And goodbye."])
    assert "response.cancel" in await talk.evaluate("azure.heard.map(({ type }) => type)")


async def test_words_cut_off_by_the_end_are_handed_in_at_once(page, services):
    await start(page)
    await says(page, started("U1"))
    await expect(page.locator("#partial [data-turn-id=U1]")).to_be_visible()
    await end(page)
    await page.evaluate("until(() => azure.heard[0]?.type === 'input_audio_buffer.commit', 'the commit')")
    await says(page, added("U1", None), heard("U1", "Good-"))
    await hung_up(page)
    await services.has_posted(["U1"])


async def test_a_call_that_awaits_no_words_ends_at_once(page):
    await page.clock.install()
    await start(page)
    await end(page)
    await hung_up(page)


async def test_starting_again_does_not_wait_for_last_words(talk, services):
    await end(talk)
    await start(talk)
    assert await talk.evaluate(MICROPHONE) == "live"
    await expect(line(talk, "U1")).to_have_attribute("data-state", "unheard")
    await says(talk, added("A2", None, "assistant"), done("A2", "Hello again."))
    await services.has_posted(["A2"])
    await is_in(talk, "listening")


async def test_closing_the_tab_while_last_words_are_awaited_keeps_what_was_heard(talk, services):
    await says(talk, added("A1", "U1", "assistant"), sound("started"), delta("A1", "I was about to"))
    await is_in(talk, "speaking")
    await end(talk)
    await talk.close(run_before_unload=False)
    await services.has_posted(["A1"])


async def test_a_double_click_neither_ends_what_it_starts_nor_starts_what_it_ends(page, services):
    await page.dblclick("#start")
    await is_in(page, "listening")
    await page.dblclick("#start")
    await is_in(page, "ended")
    assert len(services.tokens) == 1


@pytest.mark.parametrize("broken", ["RTCPeerConnection", "sessionStorage"])
async def test_a_browser_that_forbids_a_part_does_not_leave_the_microphone_on(page, broken):
    await page.evaluate(KEEP_MICROPHONE)
    await page.evaluate(
        """(name) => Object.defineProperty(window, name, {
          get: () => { throw new DOMException("", "SecurityError"); } })""",
        broken,
    )
    await page.click("#start")
    await is_in(page, "listening" if broken == "sessionStorage" else "ready")
    if broken == "sessionStorage":
        await end(page)
    await page.evaluate(f"until(() => {MICROPHONE} === 'ended', 'silence')")


async def test_words_of_a_conversation_that_was_put_away_are_kept_and_not_shown_again(page, services):
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await page.click("#start")
    await is_in(page, "ended")
    await page.evaluate("engram.session.startAnew()")
    await says(page, heard("U1", "My old question"))
    await services.has_posted(["U1"])
    await page.evaluate("until(() => azure.over, 'the end of the call')")
    assert await page.evaluate("engram.session.transcript") == []
    await expect(page.locator("#transcript li")).to_have_count(0)

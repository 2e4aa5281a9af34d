"""The page: what it shows of a call, of a problem and of memory, and what it never shows."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.modules.page import is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, heard, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_spoken_exchange_is_shown_kept_and_described_in_words(page, services):
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await is_in(page, "thinking")
    await says(page, added("A1", "U1", "assistant"), sound("started"), delta("A1", "Good "))
    await is_in(page, "speaking")
    await expect(page.locator("#partial li")).to_have_count(2)
    await says(page, done("A1", "Good morning."), heard("U1", "Hello?"), sound("stopped"))
    await is_in(page, "listening")

    lines = page.locator("#transcript li[data-saved=saved]")
    await expect(lines.locator("p")).to_have_text(["Hello?", "Good morning."])
    assert [await line.get_attribute("data-speaker") for line in await lines.all()] == ["user", "assistant"]
    await expect(page.locator("#memory")).to_have_attribute("data-state", "on")
    await page.click("#start")
    await is_in(page, "ended")
    assert services.all_turn_ids() == ["U1", "A1"]


async def test_a_busy_broker_is_told_as_cause_and_advice_with_a_countdown(page, services):
    services.token_problem = {"type": "x", "title": "secret upstream words", "status": 503, "retryable": True}
    services.token_problem |= {"retry_after_ms": 8_000, "trace_id": "trace-1"}
    await page.clock.install(time=0)
    await page.clock.pause_at(1)
    await page.click("#start")
    problem = page.locator("#problem")
    await expect(problem).to_contain_text("trace-1")
    assert "secret upstream words" not in await problem.inner_text()
    await expect(page.locator("#retry")).to_be_disabled()
    await expect(page.locator("#retry")).to_have_text("Try again in 8 s")
    assert await page.locator("[role=alert] button").count() == 0  # or every second would be read aloud
    await is_in(page, "ready")

    services.token_problem = None
    await page.clock.fast_forward(8_000)
    await expect(page.locator("#retry")).to_be_enabled()
    await page.click("#retry")
    await is_in(page, "listening")
    await expect(problem).to_be_hidden()


async def test_memory_failing_looks_different_from_voice_failing(page, services):
    services.closed = True
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "Hello."))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-saved", "waiting")
    await expect(page.locator("#memory")).to_have_attribute("data-state", "delayed")
    await expect(page.locator("#problem")).to_be_hidden()
    await is_in(page, "listening")


async def test_a_problem_fits_a_small_phone_and_trying_again_keeps_the_keyboard_in_the_page(page, services):
    services.token_problem = {
        "type": "x",
        "title": "x",
        "status": 503,
        "retryable": True,
        "trace_id": "f" * 32,
    }
    await page.set_viewport_size({"width": 320, "height": 568})
    await page.click("#start")
    await expect(page.locator("#problem")).to_contain_text("f" * 32)
    assert await page.evaluate("document.documentElement.scrollWidth") == 320
    services.token_problem = None
    await page.press("#retry", "Enter")
    await is_in(page, "listening")
    await expect(page.locator("#start")).to_be_focused()


async def test_what_is_said_is_in_sight_however_much_was_said_earlier(page, services):
    await start(page)  # gives this tab its session
    past = {"role": "assistant", "content": "Long ago. " * 20, "agent_id": "elena", "delivered": True}
    past |= {"spoken_at": "2026-11-20T08:00:00Z", "interrupted": True}
    services.episode = [past | {"turn_id": f"P{n}"} for n in range(30)]
    await page.reload()
    last = page.locator("#earlier [data-turn-id=P29]")
    await expect(last).to_be_in_viewport()
    await expect(last).to_have_attribute("data-state", "interrupted")

    await page.evaluate("scrollTo(0, 0)")
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "Hello."))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_be_in_viewport()


async def test_a_browser_that_will_not_play_by_itself_is_given_a_tap(page):
    await page.evaluate(
        """() => {
          const { play } = HTMLMediaElement.prototype;
          HTMLMediaElement.prototype.play = function () {
            HTMLMediaElement.prototype.play = play;
            return Promise.reject(new DOMException("", "NotAllowedError"));
          };
        }"""
    )
    await start(page)
    await page.click("#hear")
    await expect(page.locator("#hear")).to_be_hidden()


async def test_no_token_reaches_the_document_or_storage(page):
    await start(page)
    await page.click("#settings-open")
    await page.click("#details-open")
    await expect(page.locator("#measures")).to_contain_text("session-1")
    kept = await page.evaluate(
        "document.documentElement.outerHTML + JSON.stringify([{...localStorage}, {...sessionStorage}])"
    )
    assert "ek_never_shown" not in kept
    assert "grant-1" not in kept


async def test_after_a_reload_what_still_waits_is_shown_with_what_is_kept(page, services):
    services.closed = True
    await start(page)
    await says(page, added("A1", None, "assistant"), done("A1", "It is on its way."))
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-saved", "waiting")
    await page.reload()
    waiting = page.locator("#earlier [data-turn-id=A1]")
    await expect(waiting).to_contain_text("It is on its way.")
    services.closed = False
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")
    await expect(waiting).to_have_attribute("data-saved", "saved")

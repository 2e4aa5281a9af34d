"""The page for everybody: every state of it by axe, by keyboard alone, and on the smallest phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.web.modules.acted import become, emit, saved, speak
from tests.web.modules.profiles import faultless
from tests.web.modules.scenes import TALK, scenes

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}  # the rest does not depend on the scheme
VIOLATIONS = """async (options) =>
  (await axe.run({ preload: false, resultTypes: ["violations"], ...options }))
  .violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ": " + html))"""

NAMED_BY_TAB = """() => {
  const { activeElement: at } = document;
  const labels = [at.getAttribute("aria-label"), ...[...(at.labels ?? [])].map((label) => label.innerText)];
  const { outlineStyle, outlineWidth } = getComputedStyle(at);
  const { height, width } = (at.type === "checkbox" ? at.closest("label") : at).getBoundingClientRect();
  const isFocusSeen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const name = (labels.join("") || at.innerText).trim();
  const id = at.id || at.dataset.agent || name;
  return { id, name, isFocusSeen, tag: at.tagName, target: Math.min(height, width) };
}"""


async def test_axe_finds_nothing_in_any_state_in_light_and_in_dark(browser, services):
    async with faultless(browser, viewport={"width": 320, "height": 568}) as context:
        page = await context.new_page()
        await page.goto(services.acted_page)
        await expect(page.locator("button[data-agent=elena]")).to_be_visible()
        seen = []
        async for name in scenes(page, services):
            seen.append(name)
            assert await page.evaluate("document.documentElement.scrollWidth") == 320, name
            if not await page.evaluate("'axe' in window"):
                await page.evaluate(Axe().axe_script)
            await page.emulate_media(color_scheme="light")
            assert await page.evaluate(VIOLATIONS, {}) == [], name
            await page.emulate_media(color_scheme="dark")
            assert await page.evaluate(VIOLATIONS, COLOURS) == [], name
    assert len(seen) == 20


async def tabbed(page):
    """Every stop of the Tab key, until it comes back to where it was."""
    stops = []
    while len(stops) < 40:
        await page.keyboard.press("Tab")
        stop = await page.evaluate(NAMED_BY_TAB)
        if stop["tag"] == "BODY" or (stops and stop == stops[0]):
            break
        stops.append(stop)
    return stops


async def in_the_middle_of_it(page):
    await become(page, "speaking", sessionId="session-1")
    await speak(page, *TALK, *[[f"M{n}", "user", "And more to read. " * 9] for n in range(8)])
    await saved(page, A1="saved")
    await emit(page, "unheard", True)
    await page.evaluate("scrollTo(0, 0)")
    await expect(page.locator("#latest")).to_be_visible()


IN_A_CALL = ["elena", "marcus", "sage", "memory", "settings-open", "start", "mute", "stop-talking"]


async def test_every_control_is_reached_by_tab_in_reading_order_named_seen_and_large_enough(staged):
    await staged.set_viewport_size({"width": 320, "height": 568})
    await in_the_middle_of_it(staged)
    stops = await tabbed(staged)
    assert [stop["id"] for stop in stops] == [*IN_A_CALL, "Choose a microphone", "latest", "text", "send"]
    for stop in stops:
        assert stop["name"], stop
        assert stop["isFocusSeen"], stop
        assert stop["target"] >= 44, stop


@pytest.mark.parametrize(
    ("opener", "stops"),
    [
        ("#memory", ["facts", "memory-forget", "memory-forget-all"]),
        ("#settings-open", ["microphone-choice", "output-choice", "letters", "details-open"]),
    ],
)
async def test_a_sheet_keeps_the_keyboard_within_it_and_gives_it_back(staged, services, opener, stops):
    services.facts = ["Ada keeps bees."]
    await staged.evaluate("acted.found.speakers = [{ id: 's', label: 'Speakers' }]")
    await become(staged, "listening", sessionId="session-1")
    await staged.focus(opener)
    await staged.keyboard.press("Enter")
    await expect(staged.locator("dialog[open]")).to_have_count(1)
    for stop in stops:
        await expect(staged.locator(f"#{stop}")).to_be_visible()
    await expect(staged.locator("dialog[open] [data-close]")).to_be_focused()
    reached = await tabbed(staged)
    assert [stop["id"] for stop in reached] == stops
    assert all(stop["name"] for stop in reached)
    assert all(stop["target"] >= 44 for stop in reached if stop["tag"] != "UL")  # a list is scrolled, not hit
    await staged.keyboard.press("Escape")
    await expect(staged.locator(opener)).to_be_focused()


async def test_who_wants_less_motion_gets_none(staged):
    await staged.emulate_media(reduced_motion="reduce")
    await become(staged, "speaking")
    await staged.evaluate("acted.level = 0.8")
    await expect(staged.locator(".orb")).to_have_attribute("style", "--level: 0.80;")
    assert await staged.evaluate("document.getAnimations().length") == 0
    assert await staged.evaluate("getComputedStyle(document.querySelector('.near')).scale") == "none"


async def test_only_finished_lines_are_read_aloud_and_their_way_to_memory_is_not(staged):
    await become(staged, "speaking")
    await speak(staged, ["U1", "user", "Hello"], ["A1", "assistant", "Good mor", "partial"])
    log = staged.get_by_role("log", name="Transcript")
    await expect(log.locator("p")).to_have_text(["Hello"])
    await expect(staged.locator("#partial")).to_have_attribute("aria-hidden", "true")
    await staged.evaluate("document.querySelector('#transcript li').isTheSame = true")
    await speak(staged, ["U1", "user", "Hello"], ["A1", "assistant", "Good morning"])
    await expect(log.locator("p")).to_have_text(["Hello", "Good morning"])
    assert await staged.evaluate("document.querySelector('#transcript li').isTheSame")
    assert await log.locator("small").first.evaluate("(mark) => mark.ariaLive") == "off"

"""What a test does with the whole page, and waits to see on it."""

from __future__ import annotations

from playwright.async_api import expect


async def says(page, *events):
    for event in events:
        await page.evaluate("(event) => azure.say(event)", event)


async def is_in(page, state):
    await expect(page.locator("#state")).to_have_attribute("data-state", state)
    await expect(page.locator("#state")).to_have_text(state)


async def start(page):
    await page.click("#start")
    await is_in(page, "listening")


async def heard_by_azure(page, *types):
    await page.evaluate(
        "(types) => until(() => azure.heard.map(({ type }) => type).join() === types, types + ' at Azure')",
        ",".join(types),
    )

"""Every state of the page as a picture, to be looked at: ``python -m tests.web.screens``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import async_playwright

from tests import chromium
from tests.web.modules.scenes import scenes
from tests.web.modules.services import serving

FOLDER = Path(".bench/screens")
SIZES = [(320, 568), (768, 1024), (1280, 800)]


async def take(browser, services, width, height, scheme):
    """One walk through all states."""
    services.forget()
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(5_000)
    page = await context.new_page()
    await page.goto(services.acted_page)
    await page.locator("button[data-agent=elena]").wait_for()
    number = 0
    async for name in scenes(page, services):
        number += 1
        await page.screenshot(path=FOLDER / f"{width}-{scheme}-{number:02}-{name}.png")
    await context.close()
    return number


def emptied():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()


async def main():
    with serving() as services:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=await asyncio.to_thread(chromium.executable), args=chromium.FLAGS
            )
            counts = [
                await take(browser, services, *size, scheme) for size in SIZES for scheme in ("light", "dark")
            ]
            await browser.close()
    print(f"{sum(counts)} pictures in {FOLDER}")


if __name__ == "__main__":
    emptied()
    asyncio.run(main())

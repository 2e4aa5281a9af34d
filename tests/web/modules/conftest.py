"""One browser and one server for all tests here; a profile and a clean slate for each."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from tests import chromium
from tests.web.modules.acted import asked, stage
from tests.web.modules.injected import AZURE, TOOLS
from tests.web.modules.services import serving


@pytest.fixture(scope="package")
def server():
    with serving() as services:
        yield services


@pytest.fixture
def services(server):
    server.forget()
    return server


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser():
    path = await asyncio.to_thread(chromium.executable)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def faultless(browser, *, acted=False, **profile):
    """A browser profile of its own, in which no page may complain; with a session that a test acts."""
    context = await browser.new_context(permissions=["microphone"], **profile)
    if acted:
        await stage(context)
    context.set_default_timeout(5_000)
    faults = []
    await context.add_init_script(AZURE + ";" + TOOLS)
    context.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    await context.close()
    assert faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser):
    async with faultless(browser) as context:
        yield context


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def bench(browser, server):
    """One page for all tests of pure modules: there is nothing that one could leave behind for the next."""
    async with faultless(browser) as context:
        page = await context.new_page()
        await page.goto(f"{server.page}/blank")
        yield page


def is_fault(message):
    """The browser itself writes a scripted 503 to the console; everything else there is our mistake."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")


@pytest_asyncio.fixture(loop_scope="session")
async def blank(context, services):
    """A page with nothing on it but our address, to import modules into."""
    page = await context.new_page()
    await page.goto(f"{services.page}/blank")
    return page


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage_door(browser):
    """One profile for all acted pages: with an acted session nothing is stored that the next would find."""
    async with faultless(browser, acted=True) as context:
        yield await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def staged(stage_door, services):
    """The page, opened anew, whose session a test acts."""
    await stage_door.set_viewport_size({"width": 1280, "height": 720})
    await stage_door.emulate_media(reduced_motion="no-preference")
    await stage_door.goto(services.page)
    await expect(stage_door.locator("button[data-agent=elena]")).to_be_visible()
    await asked(stage_door)
    return stage_door


@pytest_asyncio.fixture(loop_scope="session")
async def page(context, services):
    """The page as a person opens it."""
    page = await context.new_page()
    await page.goto(services.page)
    await expect(page.locator("button[data-agent=elena]")).to_be_visible()
    return page

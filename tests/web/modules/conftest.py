"""One server for all tests here, and the browser of those of whole calls; a clean slate for each."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.web.modules.acted import asked
from tests.web.modules.profiles import DESKTOP, Profiles, faultless
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
async def profiles(browser, server):
    profiles = Profiles(browser, [server.page, server.enrichment])
    yield profiles
    await profiles.close()


@pytest_asyncio.fixture(loop_scope="session")
async def untouched(profiles, server, request):
    """A page in a profile that nobody has used; a test that asks for the ``context`` has that to itself."""
    yield await profiles.open()
    await profiles.leave(f"{server.page}/blank", is_spent="context" in request.fixturenames)


@pytest.fixture
def context(untouched):
    """The profile of the test's page, for more tabs or another network."""
    return untouched.context


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def bench(browser, server):
    """One page for all tests of pure modules: there is nothing that one could leave behind for the next."""
    async with faultless(browser) as context:
        page = await context.new_page()
        await page.goto(f"{server.page}/blank")
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def blank(untouched, services):
    """A page with nothing on it but our address, to import modules into."""
    await untouched.goto(f"{services.page}/blank")
    return untouched


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage_door(browser):
    """One profile for all acted pages: with an acted session nothing is stored that the next would find."""
    async with faultless(browser) as context:
        yield await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def staged(stage_door, services):
    """The page, opened anew, whose session a test acts."""
    await stage_door.set_viewport_size(DESKTOP)
    await stage_door.emulate_media(reduced_motion="no-preference")
    await stage_door.goto(services.acted_page)
    await expect(stage_door.locator("button[data-agent=elena]")).to_be_visible()
    await asked(stage_door)
    return stage_door


@pytest_asyncio.fixture(loop_scope="session")
async def page(untouched, services):
    """The page as a person opens it."""
    await untouched.goto(services.page)
    await expect(untouched.locator("button[data-agent=elena]")).to_be_visible()
    return untouched

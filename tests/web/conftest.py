"""A whole local system and a real browser in front of it."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest_asyncio
from playwright.async_api import async_playwright

from tests.local.forks import fork
from tests.local.processes import free_port
from tests.local.stack import Plan, new_signing_key, started
from tests.web.person import Person, launched, visiting

MORE_BROKERS = 12


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory):
    """Simulator, broker and enrichment as processes, with one grant key for every broker beside."""
    plan = Plan(
        tmp_path_factory.mktemp("system"),
        settings={"GRANT_SIGNING_KEY": new_signing_key(), "AZURE_VOICELIVE_MODEL": "gpt-realtime-brisk"},
        more_pages=tuple(free_port() for _ in range(MORE_BROKERS)),
    )
    async with started(plan, fork) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker_for(system):
    """The page's address of a broker with other settings, started when first asked for."""
    ports = iter(system.plan.more_pages)
    known: dict[frozenset[tuple[str, str]], str] = {}

    async def start(**settings: str) -> str:
        wish = frozenset(settings.items())
        if wish not in known:
            service = system.plan.broker(port=next(ports), **settings)
            await system.start(service)
            known[wish] = service.url
        return known[wish]

    return start


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chrome():
    async with async_playwright() as playwright:
        yield playwright.chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chrome):
    """For everybody whose microphone is not the browser's own."""
    async with launched(chrome) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(system, chrome, browser):
    """Opens the page as a person would; closes every page that was opened, and fails on any complaint."""
    async with AsyncExitStack() as leaving:

        async def visit(url: str | None = None, *, microphone: str | None = None, **options) -> Person:
            own = await leaving.enter_async_context(launched(chrome, microphone)) if microphone else browser
            person = visiting(own, url or system["broker"].url, system, **options)
            return await leaving.enter_async_context(person)

        yield visit

"""How a visit ends. Each end comes while a page is speaking, at a moment that the seed chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from playwright.async_api import Page

from tests.bench.soak_browser.profile import MOST_TURNS, Profile

TWO_TABS = 0.25  # the share of visits in which a second tab speaks too
LONGEST_FAULT_S = 0.2
MOST_TRIES = 4
EARLY = 0.5  # the share of faults that are there before the page begins to speak
JITTER_S = 0.03  # between a commit that was heard of and the end

End = Callable[[Profile, Page], Awaitable[None]]


async def closed(_profile: Profile, page: Page) -> None:
    await page.close()


async def navigated(profile: Profile, page: Page) -> None:
    """And back: what the page finds then is what it left."""
    await page.goto(f"{profile.front.page}?elsewhere")
    await page.close()


async def quit_browser(profile: Profile, _page: Page) -> None:
    await profile.quit()


async def killed(profile: Profile, _page: Page) -> None:
    await profile.kill()


async def offline(profile: Profile, page: Page) -> None:
    """Half of the time the page lives to see the network return."""
    await cut(profile)
    await asyncio.sleep(profile.rng.uniform(0, LONGEST_FAULT_S))
    if profile.rng.random() < 0.5:
        await connect(profile)
        await asyncio.sleep(profile.rng.uniform(0, LONGEST_FAULT_S))
    await page.close()
    await connect(profile)


async def cut(profile: Profile) -> None:
    assert profile.context is not None
    await profile.context.set_offline(True)


async def connect(profile: Profile) -> None:
    assert profile.context is not None
    await profile.context.set_offline(False)


def failing(fault: str) -> End:
    """Enrichment fails for a while, however often the page tries; then its end comes, before or after it is
    well again."""

    async def end(profile: Profile, page: Page) -> None:
        await profile.front.fail(fault)
        for _ in range(profile.rng.randint(1, MOST_TRIES)):
            await page.evaluate("() => { dispatchEvent(new Event('online')) }")
            await asyncio.sleep(profile.rng.uniform(0, LONGEST_FAULT_S / MOST_TRIES))
        if profile.rng.random() < 0.3:
            await profile.front.fail("")
            await asyncio.sleep(profile.rng.uniform(0, LONGEST_FAULT_S))
        await profile.rng.choice([closed, navigated, killed])(profile, page)
        await profile.front.fail("")

    return end


ENDS: dict[str, End] = {
    "tab closed": closed,
    "navigated": navigated,
    "browser quit": quit_browser,
    "killed": killed,
    "offline": offline,
    "503 storm": failing("storm"),
    "replies dropped": failing("dropped"),
    "refused": failing("refused"),
}


BEFORE: dict[str, Callable[[Profile], Awaitable[None]]] = {
    "offline": cut,
    "503 storm": lambda profile: profile.front.fail("storm"),
    "replies dropped": lambda profile: profile.front.fail("dropped"),
    "refused": lambda profile: profile.front.fail("refused"),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """An end that was played: in how many tabs something was said, how many turns were stored before it."""

    name: str
    tabs: int
    stored: int
    seconds: float


async def visit(profile: Profile, name: str) -> Ended:
    """A page, or two, speak until the end comes."""
    began = asyncio.get_running_loop().time()
    before = profile.stored.total()
    page = await profile.page()
    others = [await profile.page()] if profile.rng.random() < TWO_TABS else []
    for other in others:
        session = profile.new_session()
        await profile.speak(other, session, list(session.turns)[:MOST_TURNS])
    if name in BEFORE and profile.rng.random() < EARLY:
        await BEFORE[name](profile)
    session, turns = profile.going_on()
    enough = profile.stored[session.session_id] + profile.rng.randint(min(4, len(turns)), len(turns))
    await profile.speak(page, session, turns)
    await profile.has_stored(session, enough)
    await asyncio.sleep(profile.rng.uniform(0, JITTER_S))
    await ENDS[name](profile, page)
    for other in others:
        if profile.context is not None:
            await other.evaluate("saying")
            await other.close()
    took = asyncio.get_running_loop().time() - began
    return Ended(name, 1 + len(others), profile.stored.total() - before, took)

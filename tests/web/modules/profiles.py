"""Browser profiles: one for test after test, wiped in between, and another once it cannot be wiped."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager

from tests.web.modules.injected import AZURE, TOOLS

DESKTOP = {"width": 1280, "height": 720}
# The page that is left must not post into the next test; Playwright's clock stays in a profile for ever.
LEAVE = """() => {
  navigator.sendBeacon = () => true;
  window.fetch = () => new Promise(() => {});
  return "__pwClock" in window;
}"""


@asynccontextmanager
async def watched(browser, **profile):
    """A browser profile of its own, and what its pages complained of."""
    context = await browser.new_context(permissions=["microphone"], reduced_motion="reduce", **profile)
    context.set_default_timeout(5_000)
    faults = []
    await context.add_init_script(AZURE + ";" + TOOLS)
    context.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context, faults
    await context.close()


@asynccontextmanager
async def faultless(browser, **profile):
    """A browser profile of its own, in which no page may complain."""
    async with watched(browser, **profile) as (context, faults):
        yield context
    assert faults == []


def is_fault(message):
    """The browser itself writes a scripted 503 to the console; everything else there is our mistake."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")


class Profiles:
    """Opening a profile and compiling all modules costs more than most tests: so one page serves many.

    A test that does something to the profile itself (more tabs, the network, a closed page, a clock, another
    size) is its last.
    """

    def __init__(self, browser, origins):
        self._browser, self._origins = browser, origins
        self._leaving = AsyncExitStack()
        self.page, self._faults = None, []

    async def open(self):
        if self.page is None:
            context, self._faults = await self._leaving.enter_async_context(watched(self._browser))
            self.page = await context.new_page()
        return self.page

    async def leave(self, blank, *, is_spent=False):
        """Makes the page one that nobody has used. Fails on what any page complained of."""
        if is_spent or await self._is_spent():
            await self.close()
        else:
            await self.page.goto(blank)
            await self._wipe()
        faults, self._faults[:] = [*self._faults], []
        assert faults == []

    async def _is_spent(self):
        page = self.page
        if page.is_closed() or len(page.context.pages) > 1 or page.viewport_size != DESKTOP:
            return True
        return await page.evaluate(LEAVE)

    async def _wipe(self):
        session = await self.page.context.new_cdp_session(self.page)
        for origin in self._origins:
            wish = {"origin": origin, "storageTypes": "all"}
            await session.send("Storage.clearDataForOrigin", wish)
        await session.detach()
        await self.page.evaluate("sessionStorage.clear()")

    async def close(self):
        self.page = None
        leaving, self._leaving = self._leaving, AsyncExitStack()
        await leaving.aclose()

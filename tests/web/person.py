"""A person in front of the page: opens it, speaks, writes, reads, and notices when it complains."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserType, ConsoleMessage, Page, expect

from tests import chromium
from tests.local.stack import Stack
from tests.waiting import until

AUDIO = Path(__file__).parent.parent / "audio"
TURN_S = 20.0  # one spoken turn is about 5 s of real time; a busy machine takes longer

# Chromium's file microphone starts at getUserMedia and plays once. This one plays what and when a test says.
SPEAKING_MICROPHONE = """
let mouth, context;
window.asked = 0;
navigator.mediaDevices.getUserMedia = async () => {
  window.asked += 1;
  context = new AudioContext();
  mouth = context.createMediaStreamDestination();
  const breath = context.createConstantSource();  // without a source nothing is sent, not even silence
  breath.offset.value = 0;
  breath.connect(mouth);
  breath.start();
  return mouth.stream;
};
window.speak = async (wav) => {
  const bytes = Uint8Array.from(atob(wav), (char) => char.charCodeAt(0));
  const source = context.createBufferSource();
  source.buffer = await context.decodeAudioData(bytes.buffer);
  source.connect(mouth);
  source.start();
};
"""


class Person:
    """Drives the page by what a person sees."""

    def __init__(self, page: Page, system: Stack) -> None:
        self.page = page
        self._enrichment = system["enrichment"].url
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # The browser itself reports every failed request; everything else there is a mistake of the page.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    async def start(self) -> None:
        await self.page.click("#start")

    async def end(self) -> None:
        await self.page.click("#start")
        await self.is_in("ended")

    async def is_in(self, *states: str) -> None:
        """Waits until the page says one of these words."""
        pattern = "|".join(states)
        locator = self.page.locator(f":is({', '.join(f'#state[data-state={state}]' for state in states)})")
        await expect(locator, f"the page never said {pattern}").to_be_visible(timeout=TURN_S * 1000)

    async def speak(self, name: str) -> None:
        """Say one of the recorded sentences into the microphone of `SPEAKING_MICROPHONE`."""
        wav = base64.b64encode((AUDIO / f"{name}.wav").read_bytes()).decode()
        await self.page.evaluate("(wav) => window.speak(wav)", wav)

    async def write(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def sees_turns(self, count: int, saved: str = "saved") -> None:
        """Waits until so many finished turns are on the page, all with that mark."""
        marked = self.page.locator(f"#transcript li[data-saved={saved}]")
        await expect(marked).to_have_count(count, timeout=TURN_S * 1000)

    async def transcript(self) -> list[tuple[str, str]]:
        """What the page shows: (speaker, text) of every finished turn, in order."""
        return await self.page.evaluate(
            """() => [...document.querySelectorAll("#transcript li")]
                 .map((line) => [line.dataset.speaker, line.querySelector("p").textContent])"""
        )

    async def session_id(self) -> str:
        return await self.page.evaluate("sessionStorage.getItem('engram_session_id')")

    async def episode(self, session_id: str | None = None) -> list[dict[str, Any]]:
        """The conversation as memory gives it back over HTTP."""
        session_id = session_id or await self.session_id()
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{self._enrichment}/memory/episodes/{session_id}")
        return answer.json()["transcript"] if answer.status_code == 200 else []

    async def remembered(self, count: int) -> list[dict[str, Any]]:
        """The episode, once so many turns of it are delivered."""

        async def complete():
            lines = await self.episode()
            return lines if sum(line["delivered"] for line in lines) >= count else None

        return await until(complete, within_s=TURN_S)


@asynccontextmanager
async def launched(chrome: BrowserType, microphone: str | None = None) -> AsyncIterator[Browser]:
    """A browser, whose microphone plays the sentence ``microphone`` once it is opened."""
    flags = [*chromium.FLAGS]
    if microphone:
        flags.append(f"--use-file-for-fake-audio-capture={AUDIO / microphone}.wav%noloop")
    path = await asyncio.to_thread(chromium.executable)
    browser = await chrome.launch(executable_path=path, args=flags)
    try:
        yield browser
    finally:
        await browser.close()


@asynccontextmanager
async def visiting(
    browser: Browser, url: str, system: Stack, *, speaks: bool = False
) -> AsyncIterator[Person]:
    """Somebody at ``url``, with a profile of their own, who ``speaks`` when told. No page may complain."""
    context = await browser.new_context()
    try:
        if speaks:
            await context.add_init_script(SPEAKING_MICROPHONE)
        person = Person(await context.new_page(), system)
        await person.page.goto(url)
        await expect(person.page.locator("button[data-agent=elena]")).to_be_visible()
        yield person
        assert person.complaints == []
    finally:
        await context.close()

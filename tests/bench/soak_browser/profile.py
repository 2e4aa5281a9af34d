"""A browser profile: its pages speak sessions into the outbox, its browser may be killed and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.async_api import BrowserContext, BrowserType, Error, Page

from tests import chromium
from tests.bench.soak_browser.front import Front
from tests.chaos.history import Conversations, History, Session
from tests.waiting import until

ANSWER_S = 20.0
PAUSE_MS = 20  # the longest between two deltas, or two turns
SESSION_TURNS, MOST_TURNS = 72, 24  # of a session, and of a visit to it

OPEN = """async (renew_at) => {
  const { TranscriptOutbox } = await import("/transcript-outbox.js");
  const renew = async (session_id) =>
    (await fetch("/realtime/grant", { method: "POST", body: JSON.stringify({ session_id }) })).json();
  window.outbox = await TranscriptOutbox.open({ renew });
  return outbox.stats();
}"""

# An answer is heard bit by bit before it is whole; a turn counts as stored once its commit is confirmed.
SPEAK = """({ route, turns, pauseMs }) => {
  const pause = () => new Promise((done) => setTimeout(done, Math.random() * pauseMs));
  const say = async () => {
    let previous_turn_id = null;
    for (const [turn_id, text, speaker] of turns) {
      const spoken_at = new Date().toISOString();
      const what = { turn_id, previous_turn_id, speaker, text };
      const turn = { ...what, agent_id: "elena", spoken_at, interrupted: false };
      for (const share of speaker === "assistant" ? [0.3, 0.6] : []) {
        outbox.keepPartial(route, { ...turn, text: text.slice(0, 1 + text.length * share) });
        await pause();
      }
      outbox.add(route, [turn]).then((isStored) => isStored && stored(route.session_id, turn_id));
      previous_turn_id = turn_id;
      await pause();
    }
  };
  window.saying = say();
}"""


@dataclass
class Profile:
    """``history``: what was handed to its pages (sent), and what they have stored (acked).

    ``waited``: turns that a page found waiting when it was opened.
    """

    folder: Path
    chrome: BrowserType
    executable: str
    front: Front
    said: Conversations
    history: History
    rng: random.Random
    waited: int = 0
    context: BrowserContext | None = None
    stored: Counter[str] = field(default_factory=Counter)  # by session
    _session: Session | None = None
    _left: list[str] = field(default_factory=list)

    async def page(self) -> Page:
        """A page with an open outbox, which sends what waits."""
        if self.context is None:
            self.context = await self._launched()
        page = await self.context.new_page()
        await page.goto(self.front.page)
        counts = await page.evaluate(OPEN)
        self.waited += counts["waiting"] + counts["partial"]
        return page

    async def speak(
        self, page: Page, session: Session, turn_ids: Iterable[str], *, pause_ms: int = PAUSE_MS
    ) -> None:
        """The page begins to speak these turns."""
        planned = list(turn_ids)
        self.history.send(session, planned)
        await page.evaluate(
            SPEAK,
            {
                "route": {
                    "url": self.front.enrich_url,
                    "session_id": session.session_id,
                    "grant": session.grant,
                },
                "turns": [[turn_id, session.turns[turn_id], speaker_of(turn_id)] for turn_id in planned],
                "pauseMs": pause_ms,
            },
        )

    def going_on(self) -> tuple[Session, list[str]]:
        """What a visit says: half of the time in the session of the visit before."""
        if not self._left or self._session is None or self.rng.random() < 0.5:
            self._session = self.new_session()
            self._left = list(self._session.turns)
        turns, self._left = self._left[:MOST_TURNS], self._left[MOST_TURNS:]
        return self._session, turns

    def new_session(self) -> Session:
        session = next(self.said)
        self.history.add(session)
        return session

    async def has_stored(self, session: Session, turns: int) -> None:
        """Returns when so many turns of the session are known to be stored."""

        async def enough() -> bool:
            return self.stored[session.session_id] >= turns

        await until(enough, within_s=ANSWER_S)

    async def quit(self) -> None:
        if self.context is not None:
            context, self.context = self.context, None
            with contextlib.suppress(Error):  # of a browser that was killed
                await context.close()

    async def kill(self) -> None:
        """``kill -9`` for every process of this browser: nothing is flushed, nobody says goodbye."""
        doomed = await asyncio.to_thread(self._processes)
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(psutil.wait_procs, doomed, 5)
        await self.quit()

    def _processes(self) -> list[psutil.Process]:
        """Those that were started with this folder, and their children."""
        mark = f"--user-data-dir={self.folder}"
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if mark in process.cmdline():
                    found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
        return list(found.values())

    async def _launched(self) -> BrowserContext:
        context = await self.chrome.launch_persistent_context(
            str(self.folder), executable_path=self.executable, args=chromium.FLAGS
        )
        context.set_default_timeout(ANSWER_S * 1_000)
        await context.expose_binding("stored", self._on_stored)
        return context

    def _on_stored(self, _source: object, session_id: str, turn_id: str) -> None:
        self.stored[session_id] += 1
        self.history.ack(session_id, [turn_id])


def speaker_of(turn_id: str) -> str:
    return "assistant" if int(turn_id.rpartition("_")[2]) % 2 else "user"

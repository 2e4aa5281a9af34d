"""The whole soak: two tabs in peace, all the ends, a last visit, and what memory then holds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.async_api import Page, async_playwright

from tests import chromium
from tests.bench.soak_browser.ends import ENDS, Ended, visit
from tests.bench.soak_browser.front import Front
from tests.bench.soak_browser.profile import MOST_TURNS, SESSION_TURNS, Profile
from tests.chaos.checker import Kept, Verdict, check
from tests.chaos.history import Conversations, History
from tests.chaos.system import System, opened
from tests.waiting import until

DRAINED_S = 60.0
CALM_PAUSE_MS = 60  # longer than a post takes, so that the tabs come to look between two of them
LONGEST_REST_S = 0.02  # between two looks into the outbox


# The disk is asked, not the outbox: on a machine that is busy enough it may not have seen it yet.
ON_DISK = """() => new Promise((resolve) => {
  const opening = indexedDB.open("voicelive");
  opening.onupgradeneeded = () => opening.transaction.abort(); // it is not there
  opening.onerror = () => resolve(-1);
  opening.onsuccess = () => {
    const request = opening.result.transaction("unsent").objectStore("unsent").count();
    request.onsuccess = () => (opening.result.close(), resolve(request.result));
  };
})"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many ends, over how many profiles side by side; how many turns two tabs say in peace."""

    ends: int
    profiles: int = 2
    calm_turns: int = 240


@dataclass(slots=True)
class Calm:
    """Two tabs of one profile in which nothing goes wrong."""

    turns: int
    duplicates: int


@dataclass(slots=True)
class Soaked:
    """What happened. ``interrupted``: answers that were remembered as far as a page that died had heard them.

    ``waiting``: turns that no last visit could send. ``missing``: stored ones that memory lacks.
    """

    calm: Calm
    ended: Sequence[Ended]
    verdict: Verdict
    interrupted: int
    waited: int
    waiting: int
    missing: Sequence[str] = ()
    seen: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


async def soak(size: Size, seed: int, folder: Path) -> Soaked:
    began = time.monotonic()
    history = History()
    system = System(folder / "system")
    async with opened(system), profiles(size, seed, folder, system, history) as all_profiles:
        calm = await speak_in_peace(all_profiles[0], size.calm_turns)
        planned = zip(all_profiles, plans(size, seed), strict=True)
        ended = await asyncio.gather(*(end_often(*plan) for plan in planned))
        waiting = sum([await last_visit(profile) for profile in all_profiles])
        await system.drained(DRAINED_S)
        seen = sum((profile.front.seen for profile in all_profiles), start=Counter[str]())
        waited = sum(profile.waited for profile in all_profiles)
    kept, interrupted = whole(system.remembered(), history)
    verdict = check(history, kept)
    ends = [end for row in ended for end in row]
    missing = sorted(history.acked - {(turn.session_id, turn.turn_id) for turn in kept})
    return Soaked(
        calm,
        ends,
        verdict,
        interrupted,
        waited,
        waiting,
        missing=[" ".join(key) for key in missing],
        seen=dict(seen),
        seconds=time.monotonic() - began,
    )


@asynccontextmanager
async def profiles(
    size: Size, seed: int, folder: Path, system: System, history: History
) -> AsyncIterator[list[Profile]]:
    executable = await asyncio.to_thread(chromium.executable)
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        found = []
        for number in range(size.profiles):
            front = front_of(system, http, random.Random(f"{seed} front {number}"))
            await front.open()
            stack.push_async_callback(front.close)
            said = Conversations(f"soak{number}", seed, system.signer, people=1, turns=SESSION_TURNS)
            place, rng = folder / f"profile-{number}", random.Random(f"{seed} {number}")
            profile = Profile(place, playwright.chromium, executable, front, said, history, rng)
            stack.push_async_callback(profile.quit)
            found.append(profile)
        yield found


def front_of(system: System, http: httpx.AsyncClient, rng: random.Random) -> Front:
    """With the one person of all conversations signed in."""
    return Front(f"http://127.0.0.1:{system.ports[0]}", system.signer, "person-0", rng, http)


def plans(size: Size, seed: int) -> list[list[str]]:
    """Which ends each profile meets, in which order: every kind about equally often."""
    kinds = list(ENDS)
    names = [kinds[number % len(kinds)] for number in range(size.ends)]
    random.Random(seed).shuffle(names)
    return [names[number :: size.profiles] for number in range(size.profiles)]


async def end_often(profile: Profile, names: Sequence[str]) -> list[Ended]:
    return [await visit(profile, name) for name in names]


async def speak_in_peace(profile: Profile, turns: int) -> Calm:
    """Two tabs speak at the same time, and each looks into the outbox again and again."""
    pages = [await profile.page(), await profile.page()]
    for _ in range(turns // (2 * MOST_TURNS)):
        for page in pages:
            session = profile.new_session()
            await profile.speak(page, session, list(session.turns)[:MOST_TURNS], pause_ms=CALM_PAUSE_MS)
        await stir(profile.rng, pages)
    for page in pages:
        await page.wait_for_function("outbox.stats().waiting === 0")
        await page.close()
    return Calm(profile.front.posted, profile.front.duplicates)


async def stir(rng: random.Random, pages: Sequence[Page]) -> None:
    """As if somebody changed from tab to tab, until all has been said."""
    saying = asyncio.gather(*(page.evaluate("saying") for page in pages))
    while not saying.done():
        await rng.choice(pages).evaluate("() => { dispatchEvent(new Event('online')) }")
        await asyncio.sleep(rng.uniform(0, LONGEST_REST_S))
    await saying


async def last_visit(profile: Profile) -> int:
    """Nothing is wrong any more, and nobody helps. How many turns wait even after a minute."""
    page = await profile.page()

    async def is_empty() -> bool:
        return bool(await page.evaluate(ON_DISK) == 0)

    try:
        await until(is_empty, within_s=DRAINED_S)
    except TimeoutError:
        return int(await page.evaluate(ON_DISK))
    return 0


def whole(kept: Sequence[Kept], history: History) -> tuple[list[Kept], int]:
    """Memory, with the beginnings of answers that nobody stored whole taken for the answers; how many."""
    cut_short = [turn for turn in kept if _is_cut_short(turn, history)]
    mended = {turn: history.sessions[turn.session_id].turns[turn.turn_id] for turn in cut_short}
    return [turn._replace(text=mended.get(turn, turn.text)) for turn in kept], len(cut_short)


def _is_cut_short(turn: Kept, history: History) -> bool:
    session = history.sessions.get(turn.session_id)
    said = session.turns.get(turn.turn_id, "") if session else ""
    is_beginning = said != turn.text and said.startswith(turn.text)
    return is_beginning and (turn.session_id, turn.turn_id) not in history.acked

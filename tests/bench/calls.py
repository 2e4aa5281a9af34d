"""Twenty spoken calls in a row: each must connect, be answered, and be in memory, complete and in order."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserType, async_playwright
from playwright.async_api import Error as PlaywrightError

from tests.bench.report import Bar, finish, percentile
from tests.local.stack import Plan, Stack, started
from tests.web.person import launched, visiting

CALLS = 20
SENTENCES = {"paris": "paris", "weather": "weather", "train": "train", "good-morning": "morning"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call. ``connect_ms``: from the click on Start until the page listens."""

    sentence: str
    connect_ms: float
    is_answered: bool
    is_complete: bool


async def call(chrome: BrowserType, stack: Stack, sentence: str) -> Outcome:
    async with launched(chrome, sentence) as browser, visiting(browser, stack["broker"].url, stack) as person:
        began = time.perf_counter()
        await person.start()
        await person.is_in("listening", "thinking", "speaking")
        connect_ms = (time.perf_counter() - began) * 1000
        await person.sees_turns(2)
        await person.end()
        episode = await person.remembered(2)
        shown = [list(turn) for turn in await person.transcript()]
    kept = [[line["role"], line["content"]] for line in episode]
    word = SENTENCES[sentence]
    is_answered = word in kept[0][1].lower() and len(kept[1][1]) > len(word)
    is_complete = kept == shown and [role for role, _ in kept] == ["user", "assistant"]
    return Outcome(sentence, connect_ms, is_answered, is_complete)


async def attempt(chrome: BrowserType, stack: Stack, sentence: str) -> Outcome | None:
    """The outcome of one call; None when it did not come to an end."""
    try:
        return await call(chrome, stack, sentence)
    except (AssertionError, TimeoutError, PlaywrightError) as exc:
        print(f"\n{sentence}: {exc}", file=sys.stderr)
        return None


async def main() -> int:
    names = list(SENTENCES)
    outcomes: list[Outcome | None] = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder), settings={"ENABLE_PROACTIVE_GREETING": "false"})
        async with started(plan) as stack, async_playwright() as playwright:
            for number in range(CALLS):
                print(f"\rcall {number + 1} of {CALLS}", end="", flush=True)
                outcomes.append(await attempt(playwright.chromium, stack, names[number % len(names)]))
    print("\r" + " " * 20 + "\r", end="")
    return report(outcomes)


def report(outcomes: Sequence[Outcome | None]) -> int:
    made = [outcome for outcome in outcomes if outcome]
    rows = [
        {
            "sentence": name,
            "calls": len(those),
            "answered": sum(outcome.is_answered for outcome in those),
            "complete and in order": sum(outcome.is_complete for outcome in those),
            "connect p50 ms": f"{percentile([outcome.connect_ms for outcome in those] or [0], 0.5):.0f}",
        }
        for name in SENTENCES
        for those in [[outcome for outcome in made if outcome.sentence == name]]
    ]
    counts = {
        "connected": len(made),
        "answered": sum(outcome.is_answered for outcome in made),
        "episodes complete and in order": sum(outcome.is_complete for outcome in made),
    }
    bars = [Bar(f"{CALLS} of {CALLS} {what}", f"{seen}", seen == CALLS) for what, seen in counts.items()]
    times = {f"call {number + 1}": outcome.connect_ms for number, outcome in enumerate(made)}
    return finish("calls", rows, bars, times, "ms to connect")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""How long a call takes to come about, beside a page written by hand; and what is heard when it must move.

Both pages ask the same broker and the same simulator, in turns, in one browser. The page by hand does what
has to be done and nothing else: microphone, token, offer, answer, and wait until both ways are open.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.bench.report import Bar, finish, percentile
from tests.local.processes import free_port
from tests.local.stack import Plan, Stack, new_signing_key, started
from tests.web.person import Person, launched, visiting
from tests.web.surviving import cut_off, moved, reconnect, speak_across_the_limit, watch_moves

CALLS = 50
CUT_S = 20.0
MOVES = 3
QUIET = {"ENABLE_PROACTIVE_GREETING": "false"}
MOST_TIMES, MOST_OURS_MS, MOST_SILENCE_MS = 1.25, 150.0, 1_500.0

OURS = """() => new Promise((connected, refused) => {
  const beganMs = performance.now();
  const listening = (state) => state === "listening" && connected(performance.now() - beganMs);
  engram.session.on("state", listening);
  setTimeout(() => refused(new Error("not connected")), 20_000);
  document.querySelector("#start").click();
})"""

BY_HAND = """async () => {
  const beganMs = performance.now();
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const headers = { "Content-Type": "application/json" };
  const minted = await fetch("/realtime/token", { method: "POST", headers, body: "{}" });
  const { token, calls_url } = await minted.json();
  const peer = new RTCPeerConnection();
  peer.addTrack(microphone.getAudioTracks()[0], microphone);
  peer.ontrack = ({ streams }) => (document.querySelector("#speaker").srcObject = streams[0]);
  const channel = peer.createDataChannel("realtime-channel");
  const connected = new Promise((resolve) => {
    const look = () => channel.readyState === "open" && peer.connectionState === "connected" && resolve();
    channel.onopen = peer.onconnectionstatechange = look;
  });
  await peer.setLocalDescription();
  const answer = await fetch(calls_url, { method: "POST", body: peer.localDescription.sdp,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" } });
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await connected;
  const tookMs = performance.now() - beganMs;
  microphone.getTracks().forEach((track) => track.stop());
  peer.close();
  return tookMs;
}"""


@dataclass(frozen=True, slots=True)
class Connects:
    """Milliseconds from the click until both sides can speak, call by call."""

    ours: Sequence[float]
    by_hand: Sequence[float]

    def p50(self) -> tuple[float, float]:
        return percentile(self.ours, 0.5), percentile(self.by_hand, 0.5)


async def connect(browser: Browser, stack: Stack, script: str) -> float:
    async with visiting(browser, stack["broker"].url, stack) as person:
        took_ms: float = await person.page.evaluate(script)
        return took_ms


async def connects(browser: Browser, stack: Stack) -> Connects:
    """One page and the other, the first of each thrown away: it warms up what both use."""
    times: dict[str, list[float]] = {OURS: [], BY_HAND: []}
    for number in range(CALLS + 1):
        print(f"\rcall {number + 1} of {CALLS + 1}", end="", file=sys.stderr, flush=True)
        for script in (OURS, BY_HAND) if number % 2 else (BY_HAND, OURS):
            times[script].append(await connect(browser, stack, script))
    print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    return Connects(times[OURS][1:], times[BY_HAND][1:])


async def goes_on_after_a_cut(browser: Browser, stack: Stack) -> bool:
    """Whether a conversation goes on by itself, told its history, after 20 s without a network."""
    async with visiting(browser, stack["broker"].url, stack) as person:
        await watch_moves(person)
        await person.write("My sister is called Ada")
        await person.sees_turns(2)
        await person.is_in("listening")
        await cut_off(person, stack)
        await asyncio.sleep(CUT_S)
        await reconnect(person, stack)
        await moved(person, "loss")
        await person.write("And she plays chess")
        await person.sees_turns(4)
        return await is_kept(person)


async def silence_of_a_hand_over(browser: Browser, stack: Stack, url: str) -> float:
    """The longest silence around a call's limit, in ms; infinite when a turn was lost."""
    async with visiting(browser, url, stack, speaks=True) as person:
        silence_ms = await speak_across_the_limit(person)
        return silence_ms if await is_kept(person) else float("inf")


async def is_kept(person: Person) -> bool:
    """Whether memory has the four turns that the page shows, in their order."""
    kept = [[line["role"], line["content"]] for line in await person.remembered(4)]
    return kept == [list(turn) for turn in await person.transcript()]


async def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        short_port = free_port()
        settings = QUIET | {"GRANT_SIGNING_KEY": new_signing_key()}
        plan = Plan(Path(folder), settings=settings, more_pages=(short_port,))
        async with started(plan) as stack, async_playwright() as playwright:
            short = plan.broker(port=short_port, CALL_LIMIT_S="12")
            await stack.start(short)
            async with launched(playwright.chromium) as browser:
                seen = await connects(browser, stack)
                silences = [await silence_of_a_hand_over(browser, stack, short.url) for _ in range(MOVES)]
                goes_on = await goes_on_after_a_cut(browser, stack)
    return report(seen, silences, goes_on)


def report(seen: Connects, silences: Sequence[float], goes_on: bool) -> int:
    ours, by_hand = seen.p50()
    rows = [
        {
            "page": name,
            "calls": len(times),
            **{f"p{p} ms": f"{percentile(times, p / 100):.0f}" for p in (50, 95)},
        }
        for name, times in (("ours", seen.ours), ("by hand", seen.by_hand))
    ]
    bars = [
        Bar(
            f"click to connected, p50, at most {MOST_TIMES} times the page by hand",
            f"{ours / by_hand:.2f}",
            ours <= MOST_TIMES * by_hand,
        ),
        Bar(
            f"of it ours, at most {MOST_OURS_MS:g} ms",
            f"{ours - by_hand:.0f} ms",
            ours - by_hand <= MOST_OURS_MS,
        ),
        Bar(
            f"hand-over at the limit, {MOVES} times: no turn lost, silence under {MOST_SILENCE_MS:g} ms",
            ", ".join(f"{silence:.0f} ms" for silence in silences),
            max(silences) < MOST_SILENCE_MS,
        ),
        Bar(
            f"no network for {CUT_S:g} s: the conversation goes on, complete and in order",
            str(goes_on),
            goes_on,
        ),
    ]
    details = {"ours ms": list(seen.ours), "by hand ms": list(seen.by_hand), "silences ms": list(silences)}
    return finish("connect", rows, bars, {"ours": ours, "by hand": by_hand}, "ms to connect, p50", details)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""A conversation that must outlive its call: what is done to it, and what is seen of it."""

from __future__ import annotations

import signal

from tests.local.stack import Stack
from tests.web.person import Person

# The longest time in which the page could not have played anything of an agent's.
DEAF = """() => {
  const speaker = document.querySelector("#speaker");
  window.deaf = { longestMs: 0, sinceMs: null };
  setInterval(() => {
    const [track] = speaker.srcObject?.getAudioTracks() ?? [];
    if (track?.readyState === "live" && !track.muted) deaf.sinceMs = null;
    else deaf.longestMs = Math.max(deaf.longestMs, performance.now() - (deaf.sinceMs ??= performance.now()));
  }, 10);
}"""


async def watch_moves(person: Person) -> None:
    await person.page.evaluate(
        "() => { window.moves = []; engram.session.on('moved', ({ why }) => moves.push(why)) }"
    )


async def moved(person: Person, *reasons: str) -> None:
    """Waits until the conversation moved for these reasons."""
    await person.page.wait_for_function(
        "(reasons) => moves.join() === reasons", arg=",".join(reasons), timeout=30_000
    )


async def cut_off(person: Person, system: Stack) -> None:
    """Nothing comes through any more: of HTTP the browser says so, of the call it hears nothing."""
    await person.page.context.set_offline(True)
    system["simulator"].process.send_signal(signal.SIGSTOP)


async def reconnect(person: Person, system: Stack) -> None:
    await person.page.context.set_offline(False)
    system["simulator"].process.send_signal(signal.SIGCONT)


async def speak_across_the_limit(person: Person) -> float:
    """A sentence and its answer before a call's limit and after it: the longest silence in between, in ms."""
    await watch_moves(person)
    await person.start()
    await person.is_in("listening")
    await person.page.evaluate(DEAF)
    await person.speak("paris")
    await person.sees_turns(2)
    await moved(person, "limit")
    await person.speak("train")
    await person.sees_turns(4)
    silence_ms: float = await person.page.evaluate("deaf.longestMs")
    return silence_ms

"""An operator at a shell: what is in the outbox, which words are typed, what is read."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from enrichment.cli import main
from enrichment.memory.embedded import EmbeddedMemory
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn

CANARY = "canary"
SAID = f"a {CANARY} sentence – 你好"


@dataclass(frozen=True)
class Read:
    """What one command came to."""

    code: int
    out: str
    err: str


class Terminal:
    """Somebody who types these lines; ``None`` is Ctrl-C."""

    def __init__(self, *lines):
        self.lines = list(lines)

    def isatty(self):
        return True

    def readline(self):
        line = self.lines.pop(0)
        if line is None:
            raise KeyboardInterrupt
        return f"{line}\n"


class Nobody:
    """A script, which answers no question."""

    def isatty(self):
        return False


class Shell:
    """Types words behind ``python -m enrichment``, in this process, and reads what comes."""

    def __init__(self, data, monkeypatch, capfd):
        self.data, self._monkeypatch, self._capfd = data, monkeypatch, capfd

    def __call__(self, words, *, typing=None):
        self._monkeypatch.setattr(sys, "argv", ["enrichment", *words.split()])
        self._monkeypatch.setattr(sys, "stdin", typing or Nobody())
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capfd.readouterr()
        assert "Traceback" not in err
        if "--text" not in words.split():
            assert CANARY not in out + err
        return Read(int(ended.value.code or 0), out, err)


@asynccontextmanager
async def opened(data, now=time.time):
    """The embedded outbox and memory of a folder."""
    outbox, memory = SqliteOutbox(data / "outbox.db", now=now), EmbeddedMemory(data / "memory.db")
    try:
        yield outbox, memory
    finally:
        await outbox.close()
        await memory.close()


async def _fill(data):
    """``s-1`` of alice: one delivered, one parked, one pending; ``s-2`` of bob: one pending."""
    async with opened(data, lambda: time.time() - 7_200) as (outbox, memory):
        await outbox.accept("alice", "s-1", [turn("u1", SAID), turn("u2", SAID)])
        claim = await outbox.claim()
        await outbox.park(claim, "u2", reason="too long")
        claim = await outbox.claim()
        await memory.remember("alice", "s-1", claim.turns)
        await outbox.delivered(claim)
        await outbox.accept("alice", "s-1", [turn("u3", SAID, after="u2")])
        await outbox.accept("bob", "s-2", [turn("v1", f"{SAID} \x1b[2J \u202e", speaker="assistant")])


def fill(data):
    asyncio.run(_fill(data))


def states(data, session_id="s-1"):
    """Turn -> its state, as the file has them."""

    async def read():
        async with opened(data) as (outbox, _):
            return {entry.turn_id: entry.state for entry in await outbox.entries(session_id)}

    return asyncio.run(read())

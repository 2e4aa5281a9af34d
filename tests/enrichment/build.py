"""Turns, settings and memories as the enrichment tests want them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from enrichment.memory.port import Episodes, Forgotten, Found, Recalled, Unreachable
from enrichment.settings import Settings
from enrichment.turns import Speaker, Turn
from tests.on_record import demanded

SPOKEN_AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def turn(turn_id: str, text: str = "Hello", *, after: str | None = None, speaker: str = "user") -> Turn:
    return Turn(
        turn_id=turn_id,
        speaker=Speaker(speaker),
        text=text,
        previous_turn_id=after,
        agent_id="elena",
        spoken_at=SPOKEN_AT,
    )


def settings(data: Path, **changed: Any) -> Settings:
    usual = {
        "environment": "development",
        "auth_required": False,
        "data_dir": data,
        "outbox_ballast_mb": 0,
        "cors_origins": '["https://app.example.org"]',
    }
    return Settings(**(usual | demanded(changed.get("environment")) | changed))


class FakeMemory:
    """Keeps the contract of `Memory`: a turn is kept once, in the order it came. ``faults`` come first."""

    name = "fake"

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.kept: dict[tuple[str, str], list[Turn]] = {}
        self.arrived: asyncio.Queue[str] = asyncio.Queue()

    async def remember(self, person, session_id, turns):
        if self.faults:
            raise self.faults.pop(0)
        kept = self.kept.setdefault((person, session_id), [])
        known = {turn.turn_id for turn in kept}
        for new in (turn for turn in turns if turn.turn_id not in known):
            kept.append(new)
            self.arrived.put_nowait(new.turn_id)

    async def episodes(self, person, *, limit, cursor=None):
        return Episodes([], None)

    async def episode(self, person, session_id):
        return self.kept.get((person, session_id), [])

    async def recall(self, person, session_id, *, limit):
        return Recalled()

    async def search(self, person, query, *, limit):
        return Found()

    async def forget_session(self, person, session_id):
        forgotten = self.kept.pop((person, session_id), [])
        return Forgotten(int(bool(forgotten)), len(forgotten))

    async def forget_person(self, person):
        forgotten = [await self.forget_session(*key) for key in [*self.kept] if key[0] == person]
        return Forgotten(len(forgotten), sum(each.turns or 0 for each in forgotten))

    async def close(self):
        pass

    def ids(self, session_id, person="p"):
        return [turn.turn_id for turn in self.kept.get((person, session_id), [])]


class DownMemory(FakeMemory):
    """Never reachable."""

    async def remember(self, person, session_id, turns):
        raise Unreachable("down")


class SlowMemory(FakeMemory):
    """Never answers; ``asked`` is set when it was asked to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def remember(self, person, session_id, turns):
        self.asked.set()
        await asyncio.Event().wait()

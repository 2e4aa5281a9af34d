"""Enrichment's side of the recorder: a `Memory` over HTTP, of which only remembering is ever used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from enrichment.memory.port import Unreachable
from enrichment.turns import Turn

ANSWER_S = 2.0
FIRST_FROZEN = 5
STEPS = 20


class RemoteMemory:
    """Keeps turns in the recorder at ``url``.

    The fifth delivery, and from then on the share ``frozen`` of them evenly, stands still for ``frozen_s``
    before anything is sent, longer than a lease: others have delivered these turns by then, and the lease
    that is settled with is no longer held. Not by chance: a short run must see it too.
    """

    name = "recorder"

    def __init__(self, url: str, *, frozen: float = 0.0, frozen_s: float = 0.0) -> None:
        self._url = url
        self._every = round(1 / frozen) if frozen else 0
        self._frozen_s = frozen_s
        self._deliveries = 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        self._deliveries += 1
        if self._every and self._deliveries % self._every == FIRST_FROZEN:
            # In steps: when the whole process is stopped meanwhile, most of its time is still to come.
            for _ in range(STEPS):
                await asyncio.sleep(self._frozen_s / STEPS)
        told = [[turn.turn_id, turn.text] for turn in turns]
        body = {"person": person, "session_id": session_id, "turns": told}
        try:
            async with self._http.post(self._url, json=body) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise Unreachable(type(exc).__name__) from exc

    async def close(self) -> None:
        await self._http.close()

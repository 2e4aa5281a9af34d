"""How much there was before it was erased, for the certificate; no erasure fails for the sake of a number."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from enrichment.turns import Turn

COUNT_S = 5.0


async def counted(sessions: Iterable[Coroutine[Any, Any, Sequence[Turn]]]) -> int | None:
    """How many turns the sessions have in all; None when reading them takes longer than 5 s."""
    try:
        async with asyncio.timeout(COUNT_S):
            return sum(map(len, await asyncio.gather(*sessions)))
    except TimeoutError:
        return None

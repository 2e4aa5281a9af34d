"""Walking through all sessions of an outbox, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from enrichment.outbox.port import Line
from enrichment.outbox.sqlite_reader import Readable

PAGE = 500


async def sessions(outbox: Readable, *, state: str | None = None) -> AsyncIterator[Line]:
    """Each session once, also when what is found is changed on the way."""
    after = ""
    while page := await outbox.lines(state=state, limit=PAGE, after=after):
        for line in page:
            yield line
        after = page[-1].session_id

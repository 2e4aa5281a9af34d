"""A process that posts until it is killed, and prints the id of each turn that was acknowledged.

``python -m tests.enrichment.crashing <path or postgresql: address>``
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from enrichment.outbox.postgres import PostgresOutbox
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn

SESSIONS = [f"s{number}" for number in range(8)]


async def opened(address):
    """The outbox at a file or in a database."""
    if not address.startswith("postgresql:"):
        return SqliteOutbox(Path(address))
    outbox = PostgresOutbox(address)
    await outbox.open()
    return outbox


async def post(outbox, session_id):
    for number in range(10_000):
        await outbox.accept("p", session_id, [turn(f"{session_id}-{number}")])
        os.write(1, f"{session_id}-{number}\n".encode())


async def main():
    outbox = await opened(sys.argv[1])
    await asyncio.gather(*(post(outbox, session_id) for session_id in SESSIONS))


if __name__ == "__main__":
    asyncio.run(main())

"""``ballast drop``: giving back the room that was kept for the day the disk is full."""

from __future__ import annotations

import argparse

from enrichment.disk import Room
from enrichment.operating.answer import Answer, NotDone
from enrichment.operating.opening import is_embedded
from enrichment.settings import Settings

MIB = 1024 * 1024
ABOUT = (
    "give back the room that was kept beside an embedded outbox. On a full disk nothing can be deleted "
    "either, not even what memory has taken: with the ballast gone delivery goes on and makes room. The "
    "service lays a new one down at its next start, once there is room. Works while the service runs"
)


async def drop(settings: Settings, _arguments: argparse.Namespace) -> Answer:
    if not is_embedded(settings):
        raise NotDone("There is no ballast: the outbox is in PostgreSQL, whose disk is its own affair.")
    freed = Room(settings.outbox_path).drop_ballast()
    if freed == 0:
        raise NotDone(f"There is no ballast beside {settings.outbox_path}: it was given back before.")
    return Answer(
        {"freed_bytes": freed}, [f"{freed / MIB:.0f} MiB are free again. Now make more room, then restart."]
    )

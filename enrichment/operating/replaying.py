"""``outbox replay``: parked turns are tried once more."""

from __future__ import annotations

import argparse

from broker.edge.audit.entries import Action
from enrichment.operating.answer import Answer, NotDone
from enrichment.operating.asking import confirm
from enrichment.operating.opening import on_record, open_outbox
from enrichment.operating.progress import progress
from enrichment.operating.walking import sessions
from enrichment.operating.words import counted
from enrichment.outbox.port import Outbox
from enrichment.settings import Settings


async def replay(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_outbox(settings) as outbox:
        if arguments.all_parked:
            count = await _replay_all(settings, outbox, yes=arguments.yes)
        else:
            count = await _replay_one(settings, outbox, arguments.session, yes=arguments.yes)
    told = {"replayed": count}
    return Answer(told, [f"{counted(count, 'turn')} will be delivered again, when the service runs."])


async def _replay_one(settings: Settings, outbox: Outbox, session_id: str, *, yes: bool) -> int:
    parked = sum(entry.state == "parked" for entry in await outbox.entries(session_id))
    if parked == 0:
        raise NotDone(
            "Nothing of that session is parked; `outbox ls --state parked` shows where something is."
        )
    confirm(f"Deliver {counted(parked, 'parked turn')} again?", yes=yes)
    async with on_record(settings, Action.REPLAY, session_id=session_id) as act:
        count = await outbox.replay(session_id)
        act.came_to(count=count)
    return count


async def _replay_all(settings: Settings, outbox: Outbox, *, yes: bool) -> int:
    parked, count = (await outbox.depth()).parked, 0
    if parked == 0:
        return 0
    confirm(f"Deliver all {counted(parked, 'parked turn')} again?", yes=yes)
    async with on_record(settings, Action.REPLAY) as act:
        with progress("Replaying", parked) as shown:
            async for line in sessions(outbox, state="parked"):
                count += await outbox.replay(line.session_id)
                shown.advance(line.parked)
        act.came_to(count=count)
    return count


def options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("session", metavar="SESSION", nargs="?", help="as ls shows it")
    which.add_argument("--all-parked", action="store_true", help="of every session")
    parser.add_argument("--yes", action="store_true", help="do not ask")

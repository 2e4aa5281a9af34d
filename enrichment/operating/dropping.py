"""``outbox drop``: giving up one parked turn for good."""

from __future__ import annotations

import argparse

from broker.edge.audit.entries import Action
from enrichment.operating.answer import Answer, NotDone
from enrichment.operating.asking import confirm
from enrichment.operating.opening import on_record, open_outbox
from enrichment.outbox.port import Outbox
from enrichment.settings import Settings

LONGEST_REASON = 200


async def drop(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_outbox(settings) as outbox:
        confirm("Give up this turn? Its text is deleted, and memory never gets it.", yes=arguments.yes)
        async with on_record(settings, Action.DROP, session_id=arguments.session, turn_id=arguments.turn):
            await _drop(outbox, arguments)
    told = {"dropped": True, "session_id": arguments.session, "turn_id": arguments.turn}
    return Answer(told, ["Its text is deleted; its id stays, so that it is not taken again."])


async def _drop(outbox: Outbox, arguments: argparse.Namespace) -> None:
    if not await outbox.drop(arguments.session, arguments.turn, reason=f"dropped: {arguments.reason}"):
        raise NotDone("There is no such parked turn; only what is parked can be dropped.")


def reason(value: str) -> str:
    """Some words, and not too many."""
    if not 1 <= len(value.strip()) <= LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"must be some words, {LONGEST_REASON} characters at most")
    return value.strip()


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="as ls shows it")
    parser.add_argument("turn", metavar="TURN", help="as show shows it")
    parser.add_argument(
        "--reason",
        type=reason,
        required=True,
        help=f"kept beside the id, {LONGEST_REASON} characters at most",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")

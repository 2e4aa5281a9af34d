"""``revoke``: every grant that a person was given so far is void; what they said stays."""

from __future__ import annotations

import argparse

from broker.edge.audit.entries import Action
from enrichment.operating.answer import Answer
from enrichment.operating.asking import confirm
from enrichment.operating.opening import on_record, open_outbox
from enrichment.operating.words import moment
from enrichment.pseudonym import hashed
from enrichment.settings import Settings

ABOUT = "make every grant of a person void that was given until now; nothing is erased"
AFTERWARDS = (
    "Pages of theirs that are open ask the broker for a new one and lose nothing. Whoever must not get one "
    "loses the role in Entra ID."
)


async def revoke(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_outbox(settings) as outbox:
        confirm(f"Make every grant void that {arguments.person} was given until now?", yes=arguments.yes)
        async with on_record(settings, Action.GRANT_REVOKE, subject=hashed(arguments.person)):
            revoked_at = await outbox.revoke(arguments.person)
    told = {"revoked": True, "person": arguments.person, "revoked_at": revoked_at}
    return Answer(told, [f"Void is every grant given until {moment(revoked_at)}.", AFTERWARDS])


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("person", metavar="PERSON", help="as `outbox ls` shows it")
    parser.add_argument("--yes", action="store_true", help="do not ask")

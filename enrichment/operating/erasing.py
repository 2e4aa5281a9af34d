"""``erase``: forgetting a session or a person everywhere, with a certificate."""

from __future__ import annotations

import argparse

from enrichment.disk import InUse
from enrichment.erasure import Certificate, Erasure
from enrichment.erasure_on_record import ErasureOnRecord
from enrichment.operating.answer import Answer, Exit, NotDone
from enrichment.operating.asking import confirm
from enrichment.operating.carrying_out import IN_USE
from enrichment.operating.opening import open_audit, open_memory, open_outbox
from enrichment.operating.words import counted
from enrichment.settings import Settings

INSTEAD = "Or ask it, as an operator: DELETE /memory/users/{person}."


async def erase(settings: Settings, arguments: argparse.Namespace) -> Answer:
    try:
        certificate = await _erase(settings, arguments)
    except InUse as exc:
        raise NotDone(f"{IN_USE} {INSTEAD}", Exit.NOT_NOW) from exc
    done = certificate.memory is not None
    return Answer(certificate.as_json(), _lines(certificate), Exit.DONE if done else Exit.TO_CONFIRM)


async def _erase(settings: Settings, arguments: argparse.Namespace) -> Certificate:
    async with open_outbox(settings) as outbox, open_memory(settings) as memory:
        what = f"session {arguments.session}" if arguments.session else "everything"
        confirm(f"Erase {what} of {arguments.person}, in the outbox and in memory?", yes=arguments.yes)
        async with open_audit(settings) as (audit, who):
            erasure = ErasureOnRecord(Erasure(outbox, memory, lambda _person: None), audit)
            if arguments.session:
                return await erasure.session(who, arguments.person, arguments.session)
            return await erasure.person(who, arguments.person)


def _lines(certificate: Certificate) -> list[str]:
    told, emptied, memory = certificate.as_json(), certificate.emptied, certificate.memory
    lines = [
        f"certificate  {told['certificate']}",
        f"erased       {told['session_id'] or 'everything of the person'}, {told['erased_at']}",
        f"outbox       {counted(emptied.sessions, 'session')}, {counted(emptied.turns, 'turn')}",
    ]
    if memory is None:
        return [
            *lines,
            "memory       HAS STILL TO CONFIRM: run this again, or let the service, which keeps the order",
        ]
    turns = "too many turns to count" if memory.turns is None else counted(memory.turns, "turn")
    lines.append(f"memory       {counted(memory.sessions, 'session')}, {turns}")
    if not any((emptied.sessions, emptied.turns, memory.sessions, memory.turns)):
        lines.append("Nothing was there. Is the id right? `outbox ls` shows whose sessions there are.")
    return lines


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("person", metavar="PERSON", help="as `outbox ls` shows it")
    parser.add_argument("--session", metavar="ID", help="only that session")
    parser.add_argument("--yes", action="store_true", help="do not ask")

"""Erasing by somebody's wish, put on record before and after. Whom it was done to is in it as a hash."""

from __future__ import annotations

from dataclasses import dataclass

from broker.edge.audit.entries import Action, Who, entry
from broker.edge.audit.recording import Act, Audit
from enrichment.erasure import Certificate, Erasure
from enrichment.pseudonym import hashed

WAITS = "memory has still to confirm"


@dataclass(frozen=True, slots=True)
class ErasureOnRecord:
    """Erases for ``who``. Raises `AuditFailed`: before anything is erased, or when that it was is not kept.

    Then it has to be asked again, which is harmless.
    """

    erasure: Erasure
    audit: Audit

    async def session(self, who: Who, person: str, session_id: str) -> Certificate:
        """Raises `ForeignSession`."""
        intent = entry(Action.ERASE, who, subject=hashed(person), session_id=session_id)
        async with self.audit.recorded(self.audit.begin(intent)) as act:
            return _told(act, await self.erasure.session(person, session_id))

    async def person(self, who: Who, person: str) -> Certificate:
        intent = entry(Action.ERASE, who, subject=hashed(person))
        async with self.audit.recorded(self.audit.begin(intent)) as act:
            return _told(act, await self.erasure.person(person))


def _told(act: Act, certificate: Certificate) -> Certificate:
    act.came_to(count=certificate.emptied.turns)
    if certificate.memory is None:
        act.came_to(reason=WAITS)
    return certificate

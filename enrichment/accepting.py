"""Accepting a post: whose it is, and then onto the disk. Nobody is answered before that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog
from starlette.requests import Request

from broker.edge.callers import Callers, bearer
from broker.edge.grants import BadGrant, Grant, is_grant
from broker.edge.problems import NotAllowed, NotSignedIn
from broker.edge.tracing import Tracing, current_traceparent, link_to, note
from enrichment.grant_keys import Grants
from enrichment.outbox.port import Accepted, Erased, ForeignSession, Outbox, Revoked
from enrichment.turns import Post, Rejection, Turn
from enrichment.watch import Unwatched, Watch

REVOKED = "the grant was revoked: ask for another"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memory a post goes to, and into which session. From the grant; never from the body.

    ``granted_at`` (Unix seconds) is None where no grant is asked for.
    """

    person: str
    session_id: str
    granted_at: int | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose memory is read; ``session_id`` is the grant's, when a grant is what was shown."""

    person: str
    session_id: str | None

    def may_read(self, session_id: str) -> bool:
        """A caller may read all that is theirs, a grant's bearer one session of it."""
        return self.session_id in (None, session_id)


@dataclass(frozen=True, slots=True)
class People:
    """Who is behind a request: a grant's bearer, or a caller. The outbox knows which grants were revoked."""

    grants: Grants
    callers: Callers
    outbox: Outbox

    async def owner_of(self, request: Request[Any], post: Post) -> Owner:
        """Raises `NotSignedIn` without a good grant, `NotAllowed` when it is for another session.

        Whether the grant was revoked is seen where its turns are stored, and in the same transaction.
        """
        grant = await (self._read(post.grant) if post.grant else self._borne_by(request))
        if grant is None:
            return await self._owner_without_grant(request, post)
        if post.session_id not in (None, grant.session_id):
            raise NotAllowed("the grant is for another session")
        return Owner(grant.person, grant.session_id, grant.issued_at)

    async def reader_of(self, request: Request[Any]) -> Reader:
        """Whose memory a request reads: the grant's person, when it bears one, else the caller."""
        grant = await self._borne_by(request)
        if grant is not None:
            if await self.outbox.is_revoked(grant.person, grant.issued_at):
                raise NotSignedIn(REVOKED)
            return Reader(grant.person, grant.session_id)
        return Reader((await self.callers.identify(request)).person, None)

    async def _borne_by(self, request: Request[Any]) -> Grant | None:
        """The grant that is the request's bearer; an access token is none, and the callers' to judge.

        Where everybody is one and the same person a bad one counts for nothing, as any other bearer does:
        pages that were made for a sign-in send something.
        """
        compact = bearer(request)
        if compact is None or not is_grant(compact):
            return None
        try:
            return await self._read(compact)
        except NotSignedIn:
            if self.callers.let_anyone_in:
                return None
            raise

    async def _read(self, compact: str) -> Grant:
        try:
            return await self.grants.read(compact)
        except BadGrant as exc:
            raise NotSignedIn(str(exc)) from exc

    async def _owner_without_grant(self, request: Request[Any], post: Post) -> Owner:
        """Only where everybody is one and the same person may pages post that know no grant."""
        if not self.callers.let_anyone_in:
            raise NotSignedIn("send the grant that came with the token")
        if post.session_id is None:
            raise NotSignedIn("send a session_id, or the grant that came with the token")
        caller = await self.callers.identify(request)
        return Owner(caller.person, post.session_id)


@dataclass(frozen=True, slots=True)
class Accepting:
    """Puts posts into the outbox and wakes the delivery. ``watch`` is told what became of the turns."""

    outbox: Outbox
    wake: Callable[[], None]
    tracing: Tracing = field(default_factory=Tracing)
    watch: Watch = field(default_factory=Unwatched)

    async def accept(self, owner: Owner, post: Post) -> dict[str, Any]:
        """The body of the 202: every turn of the post is in exactly one of the three lists."""
        try:
            accepted = await self._store(owner, post)
        except ForeignSession as exc:
            raise NotAllowed("the session belongs to somebody else") from exc
        except Revoked as exc:
            raise NotSignedIn(REVOKED) from exc
        if accepted.accepted:
            self.wake()
        conflicts = [Rejection(turn_id, "conflict") for turn_id in accepted.conflicting]
        rejected = [asdict(rejection) for rejection in (*post.rejected, *conflicts)]
        self._count(accepted, len(post.rejected))
        log.debug(
            "turns.accepted",
            session_id=owner.session_id,
            accepted=len(accepted.accepted),
            duplicate=len(accepted.duplicate),
            rejected=len(rejected),
        )
        return {
            "accepted": accepted.accepted,
            "duplicate": accepted.duplicate,
            "rejected": rejected,
        }

    async def _store(self, owner: Owner, post: Post) -> Accepted:
        if not post.turns:
            return Accepted([], [], [])
        about = {"engram.session_id": owner.session_id}
        with self.tracing.span("turns.accept", about, links=link_to(post.traceparent)):
            accepted = await self._commit(owner, _traced(post.turns))
            note({"turns.accepted": len(accepted.accepted), "turns.duplicate": len(accepted.duplicate)})
        return accepted

    async def _commit(self, owner: Owner, turns: Sequence[Turn]) -> Accepted:
        began = time.monotonic()
        try:
            accepted = await self.outbox.accept(
                owner.person, owner.session_id, turns, granted_at=owner.granted_at
            )
        except BaseException as exc:
            is_refused = isinstance(exc, ForeignSession | Erased | Revoked)
            self.watch.posted("rejected" if is_refused else "failed", len(turns))
            raise
        self.watch.committed(time.monotonic() - began)
        return accepted

    def _count(self, stored: Accepted, rejected: int) -> None:
        self.watch.posted("accepted", len(stored.accepted))
        self.watch.posted("duplicate", len(stored.duplicate))
        self.watch.posted("conflicting", len(stored.conflicting))
        self.watch.posted("rejected", rejected)


def _traced(turns: Sequence[Turn]) -> Sequence[Turn]:
    """With the name of this span, so that their delivery can point at it, whenever and wherever it is."""
    traceparent = current_traceparent()
    return [replace(turn, traceparent=traceparent) for turn in turns] if traceparent else turns

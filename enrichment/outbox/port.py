"""What an outbox promises, whichever engine keeps it.

A turn is *pending* until it is *delivered*; a turn that memory will never take is *parked*, for a person to
look at. A session's turns leave in conversation order, one delivery at a time: a claim leases the session,
and a lease that outlives its holder simply runs out. So a crash costs a repeat, never a loss.

What was erased stays erased: a *tombstone* refuses late posts and tells a deliverer in flight to undo.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from enrichment.turns import Turn

LEASE_S = 30.0
CLAIM_TURNS = 30


class StorageFailed(Exception):
    """The work is not known to be kept: storage could not be written, or not soon enough."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.retry_after_s = random.uniform(1.0, 5.0)  # noqa: S311 - jitter: all who were refused at once


class ForeignSession(Exception):
    """The session belongs to another person: whoever wrote to it first."""


class Erased(Exception):
    """The session was erased, or all of its person since the grant was given: nothing more is taken."""


class Revoked(Exception):
    """The grant was given before its person's grants were revoked: a new one is good."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Turn ids by what became of them. ``conflicting`` were known with another text, which was kept."""

    accepted: Sequence[str]
    duplicate: Sequence[str]
    conflicting: Sequence[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """The next turns of one session, leased to one deliverer.

    ``lease`` fences: whoever claims after this lease has run out gets a higher one, and settling with the
    lower one changes nothing. ``attempts`` counts the failures in a row before this claim. The turn
    ``oldest_turn_id`` has waited longest, for ``oldest_s`` seconds.
    """

    person: str
    session_id: str
    turns: Sequence[Turn]
    lease: int
    attempts: int
    oldest_turn_id: str
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits. ``oldest_s`` is the age of the oldest pending turn, 0 when none waits."""

    pending: int
    parked: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Emptied:
    """What an erasure took out of the outbox. ``leased_until``: until then a deliverer may be at work (Unix
    seconds, 0 when none is): only what memory forgets after that stays forgotten.
    """

    sessions: int
    turns: int
    leased_until: float


@dataclass(frozen=True, slots=True)
class Order:
    """An erasure that memory has not confirmed. ``session_id`` is None for everything of the person.

    ``is_ripe``: no deliverer of the time before can be writing any more, by the outbox's own clock.
    """

    person: str
    session_id: str | None
    is_ripe: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A session as an operator sees it. Times are Unix seconds; ``due_at`` is None when nothing is due."""

    session_id: str
    person: str
    pending: int
    parked: int
    delivered: int
    attempts: int
    due_at: float | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A turn as an operator sees it. ``text`` is None once delivered; ``reason``: why it was parked."""

    session_id: str
    turn_id: str
    state: str
    speaker: str
    text: str | None
    accepted_at: float
    reason: str | None


class Outbox(Protocol):
    """Everything may raise `StorageFailed`."""

    async def accept(
        self, person: str, session_id: str, turns: Sequence[Turn], *, granted_at: float | None = None
    ) -> Accepted:
        """Store turns; on return they are durable. Raises `ForeignSession`, `Erased` or `Revoked`.

        ``granted_at``: when the grant was given (Unix seconds), None without one.
        """
        ...

    async def claim(self) -> Claim | None:
        """Lease the session that has been due longest, or None when none is due.

        Its turns in conversation order. One whose previous turn has not come is held back for a few seconds,
        see `enrichment.order.releasable`.
        """
        ...

    async def delivered(self, claim: Claim) -> bool:
        """Every turn of the claim is in memory: their text leaves the outbox, their ids stay.

        False when the session was taken out meanwhile: what was just remembered must be forgotten again,
        and an `Order` stands that says so.
        """
        ...

    async def postpone(self, claim: Claim, *, delay_s: float, reason: str) -> None:
        """Nothing of the claim is known to be in memory: the session is due again after ``delay_s``."""
        ...

    async def park(self, claim: Claim, turn_id: str, *, reason: str) -> None:
        """Memory will never take this turn; the others of the session are due again at once."""
        ...

    async def pending(self, person: str, session_id: str) -> Sequence[Turn]:
        """Turns of a session that are not in memory, parked ones included, in order of arrival."""
        ...

    async def pending_sessions(self, person: str) -> Sequence[str]:
        """The person's sessions that have such turns."""
        ...

    async def next_due_s(self) -> float | None:
        """Seconds until a session is due, 0 when one is, None when nothing waits."""
        ...

    async def depth(self) -> Depth: ...

    async def erase_session(self, person: str, session_id: str) -> Emptied:
        """Take out everything of the session, leave a tombstone and an `Order`; also when there is nothing.

        Raises `ForeignSession`.
        """
        ...

    async def erase_person(self, person: str) -> Emptied:
        """Take out everything of the person and leave a tombstone for it and for each of its sessions."""
        ...

    async def revoke(self, person: str) -> float:
        """Every grant given to the person until now is void, for good; when that was (Unix seconds)."""
        ...

    async def is_revoked(self, person: str, granted_at: float) -> bool:
        """Whether a grant given then (Unix seconds) is void."""
        ...

    async def orders(self) -> Sequence[Order]:
        """What memory has still to forget. Kept until `confirm`, also when the process dies."""
        ...

    async def confirm(self, person: str, session_id: str | None) -> None:
        """Memory has forgotten it."""
        ...

    async def expire(self, keep_s: float, limit: int) -> int:
        """Take out sessions that nobody wrote to for so long, each with an `Order` and without a tombstone.

        At most ``limit`` of them, the oldest first, and none with turns that memory has still to get. How
        many; they may be written to again at once.
        """
        ...

    async def expire_tombstones(self, keep_s: float) -> int:
        """Take out tombstones older than that; how many. And revocations, which no grant outlives so long."""
        ...

    async def lines(self, *, state: str | None, limit: int, after: str = "") -> Sequence[Line]:
        """Sessions by id, from after that one on; ``state``: only those with such turns."""
        ...

    async def entries(self, session_id: str) -> Sequence[Entry]:
        """The turns of one session in order of arrival."""
        ...

    async def replay(self, session_id: str) -> int:
        """Parked turns become pending and due; how many."""
        ...

    async def drop(self, session_id: str, turn_id: str, *, reason: str) -> bool:
        """Give up a parked turn: its text goes, its id stays. False when there is no such parked turn."""
        ...

    def is_serving(self) -> bool:
        """Whether turns can be stored at all, as far as can be told without asking."""
        ...

    async def close(self) -> None: ...

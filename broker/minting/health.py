"""What is known of every row: which may be asked now, and in which order. Pure: the clock is injected.

Three things can keep a row from being asked: its own breaker or quarantine, its credential's block in that
domain, and its domain's block. The rest is order: who minted last comes first, as long as it stays healthy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker.minting.breaker import Breaker, Jitter
from broker.minting.outcomes import MEANINGS, MISCONFIGURED, MintFailed, Part, Scope, Verdict
from broker.minting.strategies import Row

HEALTHY_SCORE = 0.5  # below it the last winner loses its place
FAIL_BACK_SCORE = 0.95
FAIL_BACK_CALLS = 10
REFUSALS_TO_SUSPECT = 3


class Standing(StrEnum):
    """Whether a row may be asked."""

    READY = "ready"
    HALF_OPEN = "half open"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Block:
    """A row, credential or domain left alone until then (seconds of the injected clock), and why."""

    until: float
    verdict: Verdict
    times: int


CONDEMNED = (Scope.ROW, Scope.CREDENTIAL, Scope.DOMAIN)
NO_BLOCK = Block(0.0, Verdict.UNKNOWN, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """One row's last outcomes, for operators. Times are seconds of the injected clock."""

    asked: int = 0
    minted: int = 0
    last: Verdict | None = None
    last_status: int | None = None
    seen_at: float | None = None

    def after(self, now: float, verdict: Verdict | None, status: int | None) -> Record:
        """The record with one more outcome; no verdict means that it minted."""
        return Record(self.asked + 1, self.minted + (verdict is None), verdict, status, now)


class Health:
    """The memory of a chain. ``now`` is monotonic seconds."""

    def __init__(
        self, rows: Sequence[Row], *, now: Callable[[], float], jitter: Jitter = random.uniform
    ) -> None:
        self.rows = tuple(rows)
        self._now = now
        self._breakers = {row: Breaker(jitter) for row in rows}
        self._domains = {row.domain.name: Breaker(jitter) for row in rows}
        self._keys = {row: tuple(_key(row, scope) for scope in CONDEMNED) for row in rows}
        self._place = {row: place for place, row in enumerate(rows)}
        self._blocks: dict[tuple[str, ...], Block] = {}
        self._records = {row: Record() for row in rows}
        self._winner: Row | None = None
        self._omitted: dict[str, frozenset[Part]] = {}
        self._suspected: dict[str, int] = {}
        self._transcribing: set[str] = set()

    def standing(self, row: Row) -> Standing:
        now = self._now()
        if self._blocks and any(self._blocks.get(key, NO_BLOCK).until > now for key in self._keys[row]):
            return Standing.HELD
        breakers = self._breakers_of(row)
        if all(breaker.is_closed() for breaker in breakers):
            return Standing.READY
        is_free = all(breaker.is_closed() or breaker.is_half_open(now) for breaker in breakers)
        return Standing.HALF_OPEN if is_free else Standing.HELD

    def _breakers_of(self, row: Row) -> tuple[Breaker, Breaker]:
        """The row's own, and that of its domain: when a region is dark, all ways into it are."""
        return self._breakers[row], self._domains[row.domain.name]

    def in_order(self, standing: Standing, without: Collection[Row] = ()) -> list[Row]:
        """The rows of that standing, best first."""
        rows = [row for row in self.rows if row not in without and self.standing(row) is standing]
        return sorted(rows, key=self._rank)

    def is_any_ready(self) -> bool:
        return self.last_winner() is not None or any(
            self.standing(row) is Standing.READY for row in self.rows
        )

    def is_any_held_in_passing(self, without: Collection[Row] = ()) -> bool:
        """Whether some other row is held by what mends by itself: its breaker, or a quota."""
        others = (row for row in self.rows if row not in without)
        held = (row for row in others if self.standing(row) is not Standing.READY)
        return any(self.blocked_by(row) not in MISCONFIGURED for row in held)

    def last_winner(self) -> Row | None:
        """Who minted last, when nothing speaks against asking it again: almost always the answer."""
        row = self._winner
        if (
            row is None
            or self._breakers[row].score < HEALTHY_SCORE
            or self.standing(row) is not Standing.READY
        ):
            return None
        return row

    def _rank(self, row: Row) -> tuple[bool, float, int]:
        score = self._breakers[row].score
        is_first = row is self._winner and score >= HEALTHY_SCORE
        return (not is_first, -round(score, 1), self._place[row])

    def least_bad(self) -> list[Row]:
        """Held rows that a caller may still try when nothing else is left; never one that is throttled.

        First what has minted before and is merely open: a wrong shape or a missing credential will not mend
        by itself.
        """
        rows = [row for row in self.rows if not self._is_throttled(row)]
        return sorted(rows, key=self._badness)

    def _badness(self, row: Row) -> tuple[bool, bool, float, int]:
        is_blocked = self.blocked_by(row) is not None
        return self._records[row].minted == 0, is_blocked, self.free_at(row), self._place[row]

    def _is_throttled(self, row: Row) -> bool:
        block = self._blocks.get(_domain_key(row), NO_BLOCK)
        return block.verdict is Verdict.THROTTLED and block.until > self._now()

    def throttled_for_s(self) -> float | None:
        """How long until the first throttled row may be asked again; None when none is throttled."""
        ends = [self.free_at(row) for row in self.rows if self._is_throttled(row)]
        return min(ends) - self._now() if ends else None

    def free_at(self, row: Row) -> float:
        """When nothing keeps the row from being asked any more."""
        blocks = [self._blocks.get(key, NO_BLOCK).until for key in self._keys[row]]
        return max([*blocks, *(breaker.open_until or 0.0 for breaker in self._breakers_of(row))])

    def free_in_s(self) -> float:
        """How long until some row is free, 0 when one is."""
        return max(0.0, min((self.free_at(row) for row in self.rows), default=0.0) - self._now())

    def blocked_by(self, row: Row) -> Verdict | None:
        """Why the row is held, when it is more than its own breaker."""
        now = self._now()
        blocks = [block for key in self._keys[row] if (block := self._blocks.get(key, NO_BLOCK)).until > now]
        return max(blocks, key=lambda block: block.until).verdict if blocks else None

    def succeeded(self, row: Row) -> None:
        for breaker in self._breakers_of(row):
            breaker.succeeded(self._now())
        if self._blocks:
            self._unblock(row)
        self._records[row] = self._records[row].after(self._now(), None, 200)
        if self._may_come_back(row):
            self._winner = row

    def _unblock(self, row: Row) -> None:
        """A token proves all but that the quota is not spent: it may have been asked for before the 429."""
        for key in self._keys[row]:
            if self._blocks.get(key, NO_BLOCK).verdict is not Verdict.THROTTLED:
                self._blocks.pop(key, None)

    def _may_come_back(self, row: Row) -> bool:
        """Whether a row that stands before the winner in the list has been well for long enough."""
        if self._winner is None or self._place[row] >= self._place[self._winner]:
            return False
        return self._breakers[row].is_steady(FAIL_BACK_CALLS, FAIL_BACK_SCORE)

    def won(self, row: Row) -> None:
        """The row gave a caller its token: it is asked first from now on."""
        self._winner = row

    def failed(self, row: Row, failure: MintFailed) -> None:
        meaning = MEANINGS[failure.verdict]
        self._records[row] = self._records[row].after(self._now(), failure.verdict, failure.status)
        if meaning.breaks:
            for breaker in self._breakers_of(row):
                breaker.failed(self._now(), at_least_s=failure.retry_after_s or 0.0)
        if meaning.hold_s is not None and meaning.scope is not Scope.NOTHING:
            self._hold(_key(row, meaning.scope), failure, meaning.hold_s, meaning.longest_s)

    def too_slow(self, row: Row) -> None:
        """Another row was faster by so much that this one counts as failed."""
        for breaker in self._breakers_of(row):
            breaker.failed(self._now())

    def _hold(self, key: tuple[str, ...], failure: MintFailed, first_s: float, longest_s: float) -> None:
        before = self._blocks.get(key, NO_BLOCK)
        times = before.times if before.verdict is failure.verdict else 0
        hold_s = failure.retry_after_s
        if hold_s is None:
            hold_s = min(longest_s, first_s * 2.0 ** min(times, 16))
        until = max(before.until, self._now() + min(hold_s, longest_s))
        self._blocks[key] = Block(until, failure.verdict, times + 1)

    def record(self, row: Row) -> Record:
        return self._records[row]

    def score(self, row: Row) -> float:
        return self._breakers[row].score

    # Parts of the body that a domain refuses.

    def omitted(self, row: Row) -> frozenset[Part]:
        return self._omitted.get(row.domain.name, frozenset())

    def refuses(self, row: Row, part: Part) -> None:
        """The domain said that it does not take this part: it is not sent there any more."""
        self._omitted[row.domain.name] = self.omitted(row) | {part}

    def may_be_the_transcription(self, row: Row) -> bool:
        """Whether a 500 may be about the transcription: nothing was minted with it since it began to fail."""
        return row.domain.name not in self._transcribing

    def minted_with_transcription(self, row: Row) -> None:
        self._transcribing.add(row.domain.name)
        self._suspected.pop(row.domain.name, None)

    def failed_with_transcription(self, row: Row) -> None:
        """A 500 came back. After a few in a row an earlier success no longer speaks for the transcription."""
        count = self._suspected[row.domain.name] = self._suspected.get(row.domain.name, 0) + 1
        if count >= REFUSALS_TO_SUSPECT:
            self._transcribing.discard(row.domain.name)

    def minted_only_without_transcription(self, row: Row) -> None:
        """A row answered 500 with the transcription and minted without it: that is no accident."""
        self.refuses(row, Part.TRANSCRIPTION)


def _domain_key(row: Row) -> tuple[str, ...]:
    return ("domain", row.domain.name)


def _key(row: Row, scope: Scope) -> tuple[str, ...]:
    if scope is Scope.DOMAIN:
        return _domain_key(row)
    if scope is Scope.CREDENTIAL:
        return ("credential", row.domain.name, row.credential.name)
    return ("row", row.name)

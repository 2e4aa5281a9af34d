"""Mints a token by whichever row can, inside one deadline.

One row is asked; when it fails, the next best; when it is slow, one of another domain beside it, and the
first token wins. What each answer means is in `outcomes`, what is known of each row in `health`. When no row
may be asked, a few callers still try the least bad ones and all others are told at once when to come back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from broker.edge.tracing import CLIENT, Tracing, note
from broker.minting.attempt import Ask
from broker.minting.budget import Hedging
from broker.minting.health import Health
from broker.minting.no_token import Misconfigured, NoToken, OutOfTime, Throttled, Unavailable
from broker.minting.outcomes import MISCONFIGURED, EphemeralToken, MintFailed, Part, Verdict
from broker.minting.race import Race
from broker.minting.strategies import Row
from broker.minting.watch import CANCELLED, MINTED, Unwatched, Watch, outcome_of
from broker.session import SessionSpec

DEADLINE_S = 8.0
ATTEMPT_S = 2.0
MOST_PANICKING = 3
WORTH_WAITING_S = 3.0  # for a throttled domain, when there is no other
SOONEST_RETRY_S = 1.0


class MintChain:
    """The rows and what is known of them. ``now`` is monotonic seconds; ``watch`` is told what happens."""

    def __init__(
        self,
        health: Health,
        ask: Ask,
        *,
        now: Callable[[], float] = time.monotonic,
        attempt_s: float = ATTEMPT_S,
        tracing: Tracing | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.health = health
        self.hedging = Hedging()
        self._ask = ask
        self.now = now
        self._attempt_s = attempt_s
        self._watch = watch or Unwatched()
        self._panicking = 0
        self._tracing = tracing or Tracing()

    async def mint(self, spec: SessionSpec) -> EphemeralToken:
        """Raises a `NoToken` when no row could, or when the deadline passed."""
        with self._tracing.span("mint"):
            return await self._watched(spec)

    async def _watched(self, spec: SessionSpec) -> EphemeralToken:
        began = self.now()
        try:
            token = await self._mint(spec)
        except BaseException as exc:
            self._watch.ended(outcome_of(exc), self.now() - began)
            raise
        self._watch.ended(MINTED, self.now() - began)
        return token

    async def _mint(self, spec: SessionSpec) -> EphemeralToken:
        race = self._race(spec)
        try:
            async with asyncio.timeout(DEADLINE_S) as deadline:
                return await self._run(race)
        except TimeoutError as exc:
            if not deadline.expired():
                raise
            raise OutOfTime(race.attempts, retry_after_s=2.0) from exc
        except Misconfigured as exc:
            raise self._in_the_light_of_all(exc, race) from exc
        finally:
            race.abandon()

    def _race(self, spec: SessionSpec) -> Race:
        async def attempt(row: Row, limit_s: float | None) -> EphemeralToken:
            return await self.attempt(row, spec, limit_s)

        return Race(attempt, self.health, self.hedging, self.now, self._watch)

    async def _run(self, race: Race) -> EphemeralToken:
        """One round; and another when it ended early and something may be asked again by now."""
        try:
            return await self._round(race)
        except (Throttled, Unavailable, OutOfTime):
            if race.tried:
                await self._wait_out_throttling()
            if not race.tried or not self.health.is_any_ready():
                raise
        race.begin_again()
        return await self._round(race)

    async def _round(self, race: Race) -> EphemeralToken:
        if self.health.is_any_ready():
            return await race.run()
        if not self.health.least_bad():
            await self._wait_out_throttling()
            if self.health.is_any_ready():
                return await race.run()
        return await self._panic(race)

    async def _wait_out_throttling(self) -> None:
        """A short wait for a domain whose quota comes back is better than an error."""
        wait_s = self.health.throttled_for_s()
        if wait_s is not None and wait_s <= WORTH_WAITING_S:
            await asyncio.sleep(wait_s)

    async def _panic(self, race: Race) -> EphemeralToken:
        """Nothing may be asked. Few callers try all the same; the others learn at once when to come back."""
        rows = self.health.least_bad()
        if not rows or self._panicking >= MOST_PANICKING:
            raise self._refusal()
        self._panicking += 1
        try:
            return await race.run_panicking(rows)
        finally:
            self._panicking -= 1

    def _in_the_light_of_all(self, told: Misconfigured, race: Race) -> NoToken:
        """A row that can never work is no reason to give up while others are merely held."""
        asked = [row for row, _ in race.failures]
        if self.health.is_any_held_in_passing(without=asked):
            return Unavailable(told.attempts, self._wait_s())
        return told

    def _refusal(self) -> NoToken:
        reasons = {self.health.blocked_by(row) for row in self.health.rows}
        if not reasons or reasons <= MISCONFIGURED:
            return Misconfigured([])
        return (Throttled if reasons == {Verdict.THROTTLED} else Unavailable)([], self._wait_s())

    def _wait_s(self) -> float:
        return max(SOONEST_RETRY_S, self.health.free_in_s()) * random.uniform(1.0, 1.2)  # noqa: S311 - jitter

    async def attempt(self, row: Row, spec: SessionSpec, limit_s: float | None = None) -> EphemeralToken:
        """Ask one row, within one attempt's time, leaving out what its domain is known to refuse.

        Raises `MintFailed`. Whatever comes of it is noted in the row's health, unless it is cancelled.
        """
        with self._tracing.span("mint.attempt", row.on_a_span, kind=CLIENT):
            return await self._attempt(row, spec, limit_s or self._attempt_s)

    async def _attempt(self, row: Row, spec: SessionSpec, limit_s: float) -> EphemeralToken:
        began = self.now()
        try:
            token = await self._ask_in_time(row, spec, limit_s)
        except MintFailed as exc:
            note({"mint.outcome": exc.verdict.value})
            self.health.failed(row, exc)
            self._watch.attempted(row, exc.verdict.value)
            if exc.verdict is Verdict.WRONG_AUDIENCE:
                row.credential.audience_refused()
            raise
        except asyncio.CancelledError:
            self._watch.attempted(row, CANCELLED)
            raise
        note({"mint.outcome": "minted"})
        self.health.succeeded(row)
        self._watch.attempted(row, MINTED)
        self.hedging.minted(self.now() - began)
        return token

    async def _ask_in_time(self, row: Row, spec: SessionSpec, limit_s: float) -> EphemeralToken:
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await self._ask_without_what_is_refused(row, spec)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise MintFailed(Verdict.TIMEOUT) from exc

    async def _ask_without_what_is_refused(self, row: Row, spec: SessionSpec) -> EphemeralToken:
        for _ in Part:
            try:
                return await self._ask_minding_the_transcription(row, spec)
            except MintFailed as exc:
                if exc.part is None or exc.part in self.health.omitted(row):
                    raise
                self.health.refuses(row, exc.part)
        return await self._ask(row, spec, self.health.omitted(row))

    async def _ask_minding_the_transcription(self, row: Row, spec: SessionSpec) -> EphemeralToken:
        """Azure was seen to answer 500 whenever a transcription is in the mint: then ask without it."""
        omitted = self.health.omitted(row)
        is_transcribing = spec.transcription is not None and Part.TRANSCRIPTION not in omitted
        try:
            token = await self._ask(row, spec, omitted)
        except MintFailed as exc:
            if exc.status != 500 or not is_transcribing:
                raise
            self.health.failed_with_transcription(row)
            if not self.health.may_be_the_transcription(row):
                raise
            token = await self._ask(row, spec, omitted | {Part.TRANSCRIPTION})
            self.health.minted_only_without_transcription(row)
            return token
        if is_transcribing:
            self.health.minted_with_transcription(row)
        return token

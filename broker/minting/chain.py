"""Mints a token by whichever row can, inside one deadline.

One row is asked; when it fails, the next best; when it is slow, one of another domain beside it, and the
first token wins. What each answer means is in `outcomes`, what is known of each row in `health`. When no row
may be asked, a few callers still try the least bad ones and all others are told at once when to come back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker.minting.attempt import Ask
from broker.minting.budget import Hedging
from broker.minting.health import Health, Standing
from broker.minting.outcomes import MEANINGS, MISCONFIGURED, EphemeralToken, MintFailed, Part, Verdict
from broker.minting.strategies import Row
from broker.session import SessionSpec

DEADLINE_S = 8.0
ATTEMPT_S = 2.0
PANIC_ATTEMPT_S = 1.0
MOST_ATTEMPTS = 6
MOST_PANICKING = 3
WORTH_WAITING_S = 3.0  # for a throttled domain, when there is no other
SLOW_LOSER_S = 1.0
SOONEST_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row asked for one caller, and what came of it; ``verdict`` is None for the row that minted."""

    row: str
    verdict: Verdict | None
    status: int | None = None
    request_id: str | None = None
    ms: int = 0


class NoToken(Exception):
    """No row minted a token. The subclass says what the caller can make of it."""

    def __init__(self, attempts: Sequence[Attempt], retry_after_s: float | None = None) -> None:
        super().__init__("; ".join(f"{attempt.row}: {attempt.verdict}" for attempt in attempts))
        self.attempts = tuple(attempts)
        self.retry_after_s = retry_after_s


class Throttled(NoToken):
    """Every way that could work has spent its quota."""


class Unavailable(NoToken):
    """It may work again in a moment."""


class OutOfTime(NoToken):
    """The deadline came first."""


class Misconfigured(NoToken):
    """It will not work until somebody changes our configuration."""


class MintChain:
    """The rows and what is known of them. ``now`` is monotonic seconds."""

    def __init__(
        self,
        health: Health,
        ask: Ask,
        *,
        now: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
        attempt_s: float = ATTEMPT_S,
    ) -> None:
        self.health = health
        self.hedging = Hedging()
        self._ask = ask
        self.now = now
        self._deadline_s = deadline_s
        self._attempt_s = attempt_s
        self._panicking = 0

    async def mint(self, spec: SessionSpec) -> EphemeralToken:
        """Raises a `NoToken` when no row could, or when the deadline passed."""
        race = Race(self, spec)
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                return await self._run(race)
        except TimeoutError as exc:
            if not deadline.expired():
                raise
            raise OutOfTime(race.attempts, retry_after_s=2.0) from exc
        finally:
            race.abandon()

    async def _run(self, race: Race) -> EphemeralToken:
        if not self.health.is_any_ready():
            await self._wait_out_throttling()
        if self.health.is_any_ready():
            return await race.run()
        return await self._panic(race)

    async def _wait_out_throttling(self) -> None:
        """With nothing but throttled domains, a short wait is better than an error; once."""
        wait_s = self.health.free_in_s()
        if not self.health.least_bad() and wait_s <= min(WORTH_WAITING_S, self._deadline_s - 0.5):
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

    def _refusal(self) -> NoToken:
        reasons = {self.health.blocked_by(row) for row in self.health.rows}
        if not reasons or reasons <= MISCONFIGURED:
            return Misconfigured([])
        retry_after_s = max(SOONEST_RETRY_S, self.health.free_in_s()) * random.uniform(1.0, 1.2)  # noqa: S311 - jitter
        return (Throttled if reasons == {Verdict.THROTTLED} else Unavailable)([], retry_after_s)

    async def attempt(self, row: Row, spec: SessionSpec, limit_s: float | None = None) -> EphemeralToken:
        """Ask one row, within one attempt's time, leaving out what its domain is known to refuse.

        Raises `MintFailed`. Whatever comes of it is noted in the row's health, unless it is cancelled.
        """
        began = self.now()
        try:
            token = await self._ask_in_time(row, spec, limit_s or self._attempt_s)
        except MintFailed as exc:
            self.health.failed(row, exc)
            if exc.verdict is Verdict.WRONG_AUDIENCE:
                row.credential.audience_refused()
            raise
        self.health.succeeded(row)
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


@dataclass(slots=True)
class Race:
    """One caller's mint: which rows were asked for it, which still run, what came of the others."""

    chain: MintChain
    spec: SessionSpec
    attempts: list[Attempt] = field(default_factory=list)
    tried: list[Row] = field(default_factory=list)
    running: dict[asyncio.Task[EphemeralToken], tuple[Row, float]] = field(default_factory=dict)
    failures: list[tuple[Row, MintFailed]] = field(default_factory=list)
    is_hedged: bool = False

    async def run(self) -> EphemeralToken:
        """Asks row after row until one mints. Raises a `NoToken`."""
        while True:
            if not self.running and not await self._start_next():
                raise no_token(self.failures, self.attempts)
            token = await self._first_answer()
            if token is not None:
                return token
            if self._is_hopeless():
                raise no_token(self.failures, self.attempts)

    async def run_panicking(self, rows: Sequence[Row]) -> EphemeralToken:
        """Tries one row of each domain, at most two, briefly."""
        by_domain = {row.domain.name: row for row in reversed(rows)}
        for row in sorted(by_domain.values(), key=rows.index)[:2]:
            self._start(row, PANIC_ATTEMPT_S)
            if (token := await self._first_answer()) is not None:
                return token
        raise no_token(self.failures, self.attempts)

    def abandon(self) -> None:
        """Cancel who still runs; their tokens are never read. One that was slow counts as failed."""
        for task, (row, began) in self.running.items():
            task.cancel()
            if self.chain.now() - began >= SLOW_LOSER_S:
                self.chain.health.too_slow(row)
        self.running.clear()

    def _start(self, row: Row, limit_s: float | None = None) -> None:
        task = asyncio.create_task(self.chain.attempt(row, self.spec, limit_s), name=f"mint by {row.name}")
        self.running[task] = (row, self.chain.now())
        self.tried.append(row)

    async def _start_next(self) -> bool:
        """Start the best row that is left, or repeat one after a pause; False when there is none."""
        if len(self.tried) >= MOST_ATTEMPTS:
            return False
        if (row := self._next()) is not None:
            self._start(row)
            return True
        if (row := self._worth_repeating()) is None:
            return False
        await asyncio.sleep(pause_s(self.tried.count(row)))
        self._start(row)
        return True

    def _next(self) -> Row | None:
        if not self.tried and (winner := self.chain.health.last_winner()) is not None:
            return winner
        ready = self.chain.health.in_order(Standing.READY, without=self.tried)
        dark = {row.domain.name for row, exc in self.failures if MEANINGS[exc.verdict].elsewhere}
        shapes = {row.shape for row, exc in self.failures if exc.verdict is Verdict.SESSION_REFUSED}
        ready = [row for row in ready if row.shape not in shapes]
        return min(ready, key=lambda row: row.domain.name in dark, default=None)

    def _worth_repeating(self) -> Row | None:
        """A row that failed once, in passing, and still stands: the last resort."""
        rows = [row for row, exc in self.failures if MEANINGS[exc.verdict].breaks]
        ready = self.chain.health.in_order(Standing.READY)
        return next((row for row in rows if row in ready and self.tried.count(row) == 1), None)

    async def _first_answer(self) -> EphemeralToken | None:
        """The first token, or None when somebody failed or a hedge was started."""
        patience_s = None if self.is_hedged else self.chain.hedging.after_s()
        done, _ = await asyncio.wait(self.running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self._hedge()
            return None
        tokens = [token for task in done if (token := self._settle(task)) is not None]
        return tokens[0] if tokens else None

    def _hedge(self) -> None:
        self.is_hedged = True
        busy = {row.domain.name for row, _ in self.running.values()}
        ready = self.chain.health.in_order(Standing.READY, without=self.tried)
        row = next((row for row in ready if row.domain.name not in busy), None)
        if row is None or len(self.tried) >= MOST_ATTEMPTS:
            return
        if self.chain.hedging.take(next(iter(busy)), self.chain.now()):
            self._start(row)

    def _settle(self, task: asyncio.Task[EphemeralToken]) -> EphemeralToken | None:
        """What a finished attempt gave. A bug in it surfaces here."""
        row, began = self.running.pop(task)
        ms = round((self.chain.now() - began) * 1000)
        try:
            token = task.result()
        except MintFailed as exc:
            self.failures.append((row, exc))
            self.attempts.append(Attempt(row.name, exc.verdict, exc.status, exc.request_id, ms))
            return None
        self.attempts.append(Attempt(row.name, None, 200, None, ms))
        self.chain.health.won(row)
        for slower, _ in self.running.values():
            self.chain.hedging.won_over(slower.domain.name, self.chain.now())
        return token

    def _is_hopeless(self) -> bool:
        """Two shapes of endpoint agree that our session is wrong: no third will see it otherwise."""
        refused = {row.shape for row, exc in self.failures if exc.verdict is Verdict.SESSION_REFUSED}
        return len(refused) >= 2


def pause_s(times: int) -> float:
    """Full jitter under 200 ms, doubled with every repeat."""
    return random.uniform(0, 0.2 * 2.0 ** (times - 1))  # noqa: S311 - jitter


def no_token(failures: Sequence[tuple[Row, MintFailed]], attempts: Sequence[Attempt]) -> NoToken:
    """What to tell the caller when every row that was asked has failed."""
    verdicts = {exc.verdict for _, exc in failures}
    waits = [exc.retry_after_s for _, exc in failures if exc.retry_after_s is not None]
    if verdicts <= MISCONFIGURED:
        return Misconfigured(attempts)
    if Verdict.THROTTLED in verdicts:
        return Throttled(attempts, retry_after_s=max(waits, default=5.0))
    if verdicts == {Verdict.TIMEOUT}:
        return OutOfTime(attempts, retry_after_s=2.0)
    return Unavailable(attempts, retry_after_s=max(waits, default=2.0))

"""One caller's mint: row after row, a hedge beside a slow one, and the first token wins."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from broker.minting.budget import Hedging
from broker.minting.health import Health, Standing
from broker.minting.no_token import Attempt, no_token
from broker.minting.outcomes import MEANINGS, EphemeralToken, MintFailed, Scope, Verdict
from broker.minting.strategies import Row
from broker.minting.watch import Unwatched, Watch

PANIC_ATTEMPT_S = 1.0
# Not counting a row or credential that was told that it cannot work: it is held from then on, so there are
# few, and counted they would use up the attempts of the rows that can.
MOST_ATTEMPTS = 6
SLOW_LOSER_S = 1.0


class AttemptOne(Protocol):
    """How a race asks a row; raises `MintFailed`."""

    async def __call__(self, row: Row, limit_s: float | None) -> EphemeralToken: ...


@dataclass(slots=True)
class Race:
    """One caller's mint: which rows were asked for it, which still run, what came of the others."""

    attempt: AttemptOne
    health: Health
    hedging: Hedging
    now: Callable[[], float]
    watch: Watch = field(default_factory=Unwatched)
    attempts: list[Attempt] = field(default_factory=list)
    tried: list[Row] = field(default_factory=list)
    asked: int = 0
    running: dict[asyncio.Task[EphemeralToken], tuple[Row, float]] = field(default_factory=dict)
    failures: list[tuple[Row, MintFailed]] = field(default_factory=list)
    is_hedged: bool = False
    hedges: set[asyncio.Task[EphemeralToken]] = field(default_factory=set)

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
        while self.running:
            if (token := await self._first_answer()) is not None:
                return token
        raise no_token(self.failures, self.attempts)

    def begin_again(self) -> None:
        """Rows that failed may be asked once more: what held them back may be over."""
        self.tried.clear()
        self.is_hedged = False

    def abandon(self) -> None:
        """Cancel who still runs; their tokens are never read. One that was slow counts as failed."""
        for task, (row, began) in self.running.items():
            task.cancel()
            if task in self.hedges:
                self.watch.hedged("lost")
            if self.now() - began >= SLOW_LOSER_S:
                self.health.too_slow(row)
        self.running.clear()

    def _start(self, row: Row, limit_s: float | None = None) -> asyncio.Task[EphemeralToken]:
        task = asyncio.create_task(self.attempt(row, limit_s), name=f"mint by {row.name}")
        self.running[task] = (row, self.now())
        self.asked += 1
        if row not in self.tried or not self.is_hedged:
            self.tried.append(row)
        return task

    async def _start_next(self) -> bool:
        """Start the best row that is left, or repeat one after a pause; False when there is none."""
        if self.asked >= MOST_ATTEMPTS:
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
        if not self.tried and (winner := self.health.last_winner()) is not None:
            return winner
        ready = self.health.in_order(Standing.READY, without=self.tried)
        dark = {row.domain.name for row, exc in self.failures if MEANINGS[exc.verdict].elsewhere}
        shapes = {row.shape for row, exc in self.failures if exc.verdict is Verdict.SESSION_REFUSED}
        ready = [row for row in ready if row.shape not in shapes]
        return min(ready, key=lambda row: row.domain.name in dark, default=None)

    def _worth_repeating(self) -> Row | None:
        """A row that failed once, in passing, and still stands: the last resort."""
        rows = [row for row, exc in self.failures if MEANINGS[exc.verdict].breaks]
        ready = self.health.in_order(Standing.READY)
        return next((row for row in rows if row in ready and self.tried.count(row) == 1), None)

    async def _first_answer(self) -> EphemeralToken | None:
        """The first token, or None when somebody failed or a hedge was started."""
        patience_s = None if self.is_hedged else self.hedging.after_s()
        done, _ = await asyncio.wait(self.running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self._hedge()
            return None
        tokens = [token for task in done if (token := self._settle(task)) is not None]
        return tokens[0] if tokens else None

    def _hedge(self) -> None:
        """Ask a second row: of another domain, else another way into the same, else the same once more."""
        self.is_hedged = True
        (slow, _), *_ = self.running.values()
        ready = self.health.in_order(Standing.READY)
        row = min(ready, key=lambda row: self._nearness(row, slow), default=None)
        if row is None or self.asked >= MOST_ATTEMPTS:
            return
        if self.hedging.take(slow.domain.name, self.now()):
            self.hedges.add(self._start(row))
        else:
            self.watch.hedged("denied")

    def _nearness(self, row: Row, slow: Row) -> tuple[bool, bool, bool]:
        return row.domain.name == slow.domain.name, row in self.tried, row is slow

    def _settle(self, task: asyncio.Task[EphemeralToken]) -> EphemeralToken | None:
        """What a finished attempt gave. A bug in it surfaces here."""
        row, began = self.running.pop(task)
        ms = round((self.now() - began) * 1000)
        try:
            token = task.result()
        except MintFailed as exc:
            self.failures.append((row, exc))
            if task in self.hedges:
                self.watch.hedged("failed")
            if MEANINGS[exc.verdict].scope in (Scope.ROW, Scope.CREDENTIAL):
                self.asked -= 1
            self.attempts.append(Attempt(row.name, exc.verdict, exc.status, exc.request_id, ms))
            return None
        self.attempts.append(Attempt(row.name, None, 200, None, ms))
        self.health.won(row)
        if task in self.hedges:
            self.watch.hedged("won")
        for slower, _ in self.running.values():
            if slower.domain.name != row.domain.name:
                self.hedging.won_over(slower.domain.name, self.now())
        return token

    def _is_hopeless(self) -> bool:
        """Two shapes of endpoint agree that our session is wrong: no third will see it otherwise."""
        refused = {row.shape for row, exc in self.failures if exc.verdict is Verdict.SESSION_REFUSED}
        return len(refused) >= 2


def pause_s(times: int) -> float:
    """Full jitter under 200 ms, doubled with every repeat."""
    return random.uniform(0, 0.2 * 2.0 ** (times - 1))  # noqa: S311 - jitter

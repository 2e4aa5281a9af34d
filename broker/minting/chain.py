"""Asks one row after another until one mints a token, inside one deadline.

A failure that another row could not mend stops the chain; a transient one is repeated once on the same row
before the next is asked. Every row that was asked is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from broker.minting.attempt import Ask
from broker.minting.outcomes import EphemeralToken, MintFailed, Verdict
from broker.minting.strategies import Row
from broker.session import SessionSpec

DEADLINE_S = 8.0
ATTEMPT_S = 2.0


def _is_transient(exc: BaseException) -> bool:
    return isinstance(exc, MintFailed) and exc.verdict in {Verdict.TRANSIENT, Verdict.TIMEOUT}


ONE_QUICK_RETRY = AsyncRetrying(
    retry=retry_if_exception(_is_transient),
    stop=stop_after_attempt(2),
    wait=wait_random_exponential(multiplier=0.2, max=1.0),  # seconds, full jitter
    reraise=True,
)

# The session or the deployment is wrong, and no row of the same domain will see it otherwise.
FINAL = frozenset({Verdict.SESSION_REFUSED, Verdict.NO_SUCH_DEPLOYMENT})
MISCONFIGURED = FINAL | {Verdict.CREDENTIAL, Verdict.NO_SUCH_ROUTE, Verdict.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row asked, and what came of it; ``token`` is None for a failure."""

    row: str
    verdict: Verdict
    status: int | None = None
    request_id: str | None = None


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
    """The rows, asked in order."""

    def __init__(
        self,
        rows: Sequence[Row],
        ask: Ask,
        *,
        deadline_s: float = DEADLINE_S,
        attempt_s: float = ATTEMPT_S,
        retrying: AsyncRetrying = ONE_QUICK_RETRY,
    ) -> None:
        self._rows = tuple(rows)
        self._ask = ask
        self._deadline_s = deadline_s
        self._attempt_s = attempt_s
        self._retrying = retrying

    async def mint(self, spec: SessionSpec) -> EphemeralToken:
        """Raises a `NoToken` when no row could, or when the deadline passed."""
        failures: list[tuple[Row, MintFailed]] = []
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                for row in self._rows:
                    try:
                        # A copy for each call: a shared AsyncRetrying mixes up concurrent ones.
                        return await self._retrying.copy()(self._once, row, spec)
                    except MintFailed as exc:
                        failures.append((row, exc))
                        if exc.verdict in FINAL:
                            break
        except TimeoutError as exc:
            if not deadline.expired():
                raise
            raise OutOfTime(_attempts(failures), retry_after_s=2.0) from exc
        raise _no_token(failures)

    async def _once(self, row: Row, spec: SessionSpec) -> EphemeralToken:
        try:
            async with asyncio.timeout(self._attempt_s) as limit:
                return await self._ask(row, spec)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise MintFailed(Verdict.TIMEOUT) from exc


def _no_token(failures: Sequence[tuple[Row, MintFailed]]) -> NoToken:
    attempts = _attempts(failures)
    verdicts = [exc.verdict for _, exc in failures]
    waits = [exc.retry_after_s for _, exc in failures if exc.retry_after_s is not None]
    if not verdicts or set(verdicts) <= MISCONFIGURED:
        return Misconfigured(attempts)
    if Verdict.THROTTLED in verdicts:
        return Throttled(attempts, retry_after_s=max(waits, default=5.0))
    if set(verdicts) == {Verdict.TIMEOUT}:
        return OutOfTime(attempts, retry_after_s=2.0)
    return Unavailable(attempts, retry_after_s=max(waits, default=2.0))


def _attempts(failures: Sequence[tuple[Row, MintFailed]]) -> list[Attempt]:
    return [Attempt(row.name, exc.verdict, exc.status, exc.request_id) for row, exc in failures]

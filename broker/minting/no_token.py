"""What a caller learns when no row minted: one of four words, with everything that was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.minting.outcomes import MISCONFIGURED, MintFailed, Verdict
from broker.minting.strategies import Row


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

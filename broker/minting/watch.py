"""Who is told what a chain does, for figures. Nobody waits for it, and nothing depends on it."""

from __future__ import annotations

from typing import Protocol

from broker.minting.no_token import Misconfigured, NoToken, OutOfTime, Throttled, Unavailable
from broker.minting.strategies import Row

MINTED = "minted"
CANCELLED = "cancelled"
BROKE = "broke"  # a mistake of ours
NO_TOKEN: dict[type[NoToken], str] = {
    Throttled: "throttled",
    Unavailable: "unavailable",
    OutOfTime: "deadline",
    Misconfigured: "misconfigured",
}


class Watch(Protocol):
    def ended(self, outcome: str, seconds: float) -> None:
        """One caller's mint: `MINTED`, a word of `NO_TOKEN`, `CANCELLED` or `BROKE`."""
        ...

    def attempted(self, row: Row, outcome: str) -> None:
        """One row was asked, for a caller or to know: `MINTED`, a verdict, or `CANCELLED`."""
        ...

    def hedged(self, result: str) -> None:
        """A second row beside a slow one ``won``, ``lost``, ``failed``, or was ``denied`` by the budget."""
        ...


class Unwatched:
    """Nobody is told."""

    def ended(self, outcome: str, seconds: float) -> None:
        pass

    def attempted(self, row: Row, outcome: str) -> None:
        pass

    def hedged(self, result: str) -> None:
        pass


def outcome_of(exc: BaseException) -> str:
    """The word for a mint that ended with it."""
    if isinstance(exc, NoToken):
        return NO_TOKEN.get(type(exc), BROKE)
    return BROKE if isinstance(exc, Exception) else CANCELLED

"""What a person, and everybody together, may mint, and how many grants a person may renew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from broker.edge.call_time import CallTime
from broker.edge.limit_rules import Allowance, Pace
from broker.edge.limits import Limits, Wish

AT_ONCE = 0.5  # of a minute's calls: of 6 a click, a second one, and the reconnect of one that broke off


@dataclass(frozen=True, slots=True)
class MostMints:
    """The figures of a deployment. ``all_per_minute`` 0 is no cap."""

    per_minute: int
    per_hour: int
    sessions: int
    minutes_a_day: int
    all_per_minute: int
    grants_per_minute: int


class Quota(Protocol):
    """Asked before a mint."""

    def place(self, person: str, session_id: str, seconds: int) -> AbstractAsyncContextManager[int]:
        """Room for one call while it is minted: when it must end (Unix seconds).

        Raises `TooMany`. When the mint fails the room is free again.
        """
        ...

    async def renew(self, person: str) -> None:
        """Raises `TooMany` when the person renewed too many grants."""
        ...


class PerPerson:
    """Holds everybody to the same figures."""

    def __init__(self, limits: Limits, most: MostMints) -> None:
        minute, hour, all_ = most.per_minute, most.per_hour, most.all_per_minute
        self._limits = limits
        self._minute = Pace(
            "minute", f"calls begun: {minute} a minute", minute, 60, max(1, round(minute * AT_ONCE))
        )
        self._hour = Allowance("hour", f"calls begun: {hour} an hour", hour, 3600)
        self._calls = CallTime(most.sessions, Allowance("day", "", most.minutes_a_day * 60))
        grants = most.grants_per_minute
        self._grants = Pace(
            "grants", f"grants renewed: {grants} a minute", grants, 60, max(1, round(grants * AT_ONCE))
        )
        everybody = f"calls begun by everybody: {all_} a minute"
        self._all = Pace("all", everybody, all_, 60, burst=max(1, all_ // 6)) if all_ else None

    @asynccontextmanager
    async def place(self, person: str, session_id: str, seconds: int) -> AsyncIterator[int]:
        """Of a mint that fails the minutes and the place are given back; that it was tried counts."""
        subject = f"person {person}"
        call = Wish(subject, self._calls, seconds, session_id)
        begun = [Wish(subject, self._minute), Wish(subject, self._hour)]
        everybody = [Wish("all", self._all)] if self._all else []
        async with self._limits.held([call], beside=[*begun, *everybody]) as (ends_ms,):
            yield ends_ms // 1000

    async def renew(self, person: str) -> None:
        """Also for sessions without end: each that waits in a browser needs one."""
        await self._limits.take(Wish(f"person {person}", self._grants))


class NoQuota:
    """Limits are off."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    @asynccontextmanager
    async def place(self, person: str, session_id: str, seconds: int) -> AsyncIterator[int]:  # noqa: ARG002 - as PerPerson
        yield int(self._now()) + seconds

    async def renew(self, person: str) -> None:
        """Nobody is counted."""

"""One domain of the fake Azure: checks route and credential, mints or fails, and counts what it is asked."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.bench.faults import answers
from tests.bench.faults.fates import Ending, Fate, dice_of, fate
from tests.bench.faults.mixes import Fault
from tests.bench.faults.schedules import Schedule, active
from tests.bench.faults.wire import Asked, Wire

GA_PATH = "/openai/v1/realtime/client_secrets"
DATED_PATHS = (
    "/openai/realtime/client_secrets",
    "/openai/deployments/gpt-realtime/realtime/client_secrets",
    "/api/projects/bench/openai/realtime/client_secrets",
)
GRACE_S = 0.1  # a 429 that was written is not yet read; what was on its way to us is nobody's mistake


def first_key(domain: str) -> str:
    return f"first-key-of-{domain}"


def second_key(domain: str) -> str:
    return f"second-key-of-{domain}"


class Tokens:
    """What was minted and not yet redeemed. A token works once, in its domain, before it ends."""

    def __init__(self) -> None:
        self._minted: dict[str, tuple[str, float]] = {}

    def mint(self, domain: str) -> str:
        value = f"ek_{secrets.token_hex(16)}"
        self._minted[value] = (domain, time.monotonic() + answers.LIFETIME_S)
        return value

    def redeem(self, value: str, domain: str) -> bool:
        minted_in, ends_at = self._minted.pop(value, ("", 0.0))
        return minted_in == domain and time.monotonic() < ends_at


class FakeDomain:
    """A resource with a quota and a region of its own. Healthy until `begin`."""

    def __init__(
        self, name: str, schedule: Schedule, tokens: Tokens, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._now = now
        self._schedule = schedule
        self._windows = schedule.windows
        self._tokens = tokens
        self._began_at = math.inf
        self._number = 0
        self._in_outage = 0
        self._too_early = 0
        self._told_at, self._throttled_until = math.inf, 0.0

    def begin(self, at: float) -> None:
        """``at``: seconds of the machine's monotonic clock. What came before does not count."""
        self._began_at = at
        self._number = self._in_outage = 0

    def figures(self) -> dict[str, int]:
        """How often we were asked: at all, while every domain was dark, while we were throttled."""
        return {"asked": self._number, "in_outage": self._in_outage, "too_early": self._too_early}

    def asked(self, asked: Asked, wire: Wire) -> None:
        now = self._now()
        faults = active(self._windows, self.name, now - self._began_at)
        self._count(now, faults)
        path = urlsplit(asked.path).path
        if path != GA_PATH and (path not in DATED_PATHS or self._schedule.mix.is_like_the_source):
            self._refuse(wire, faults, 404, answers.NO_SUCH_ROUTE)
        elif not self._is_ours(asked, faults):
            self._refuse(wire, faults, 401, answers.WRONG_KEY)
        else:
            self._meet(wire, fate(self._schedule, faults, self.name, self._number))

    def _count(self, now: float, faults: frozenset[Fault]) -> None:
        self._number += 1
        self._in_outage += Fault.DARK in faults
        if self._told_at + GRACE_S < now < self._throttled_until:
            self._too_early += 1
        if now >= self._throttled_until:
            self._told_at = math.inf

    def _is_ours(self, asked: Asked, faults: frozenset[Fault]) -> bool:
        key = asked.headers.get("api-key")
        is_first = key == first_key(self.name) and Fault.REVOKED not in faults
        return is_first or key == second_key(self.name)

    def _refuse(self, wire: Wire, faults: frozenset[Fault], status: int, body: bytes) -> None:
        if Fault.DARK not in faults:
            wait_s = dice_of(self._schedule, self.name, self._number).refusal_s
            asyncio.get_running_loop().call_later(wait_s, wire.answer, status, body)

    def _meet(self, wire: Wire, ends: Fate) -> None:
        if ends.ending is not Ending.SILENCE:
            asyncio.get_running_loop().call_later(ends.after_s, self._end, wire, ends)

    def _end(self, wire: Wire, ends: Fate) -> None:
        if ends.ending is Ending.MINTED:
            wire.answer(200, answers.minted(self._tokens.mint(self.name)))
        elif ends.ending is Ending.RUBBISH:
            wire.answer(200, *answers.rubbish(ends.choice))
        elif ends.ending is Ending.THROTTLED:
            self._throttle(wire, ends)
        else:
            wire.answer(ends.status, answers.SERVER_ERROR)

    def _throttle(self, wire: Wire, ends: Fate) -> None:
        wait_s = ends.retry_after_s
        header = {"retry-after-ms": str(wait_s * 1000)} if ends.choice % 2 else {"retry-after": str(wait_s)}
        if wire.answer(429, answers.THROTTLED, header):
            now = self._now()
            self._told_at = min(self._told_at, now)
            self._throttled_until = max(self._throttled_until, now + wait_s)

"""Azure in virtual time: rows that answer as a script or a schedule of faults says."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from pydantic import SecretStr

from broker.minting.chain import MintChain
from broker.minting.credentials import ApiKey
from broker.minting.domains import Domain
from broker.minting.health import Health
from broker.minting.outcomes import EphemeralToken, MintFailed, Verdict
from broker.minting.rows import failsafe_rows
from broker.minting.strategies import Row

Behaviour = Callable[[Row, float], "EphemeralToken | Verdict | MintFailed | None"]
KEY = ApiKey(SecretStr("k"))


def domain(name: str, *credentials) -> Domain:
    return Domain(name, f"https://{name}.openai.azure.com", "gpt-realtime", credentials or (KEY,))


def rows_of(*domains: Domain, api_version: str | None = None) -> list[Row]:
    return failsafe_rows(domains, api_version)


def token(row: Row) -> EphemeralToken:
    return EphemeralToken("ek_1", 2_000_000_000, row.domain.endpoint, "calls", "m", row.strategy.label)


class Upstream:
    """Asks ``behaviour``: what a row says at a time, after ``latency_s``; None is never to answer."""

    def __init__(self, behaviour: Behaviour, latency_s: Callable[[], float] = lambda: 0.18) -> None:
        self.behaviour = behaviour
        self.latency_s = latency_s
        self.asked: list[tuple[float, Row]] = []
        self.bodies: list[frozenset] = []

    async def __call__(self, row, spec, omitted):
        now = asyncio.get_running_loop().time()
        self.asked.append((now, row))
        self.bodies.append(omitted)
        said = self.behaviour(row, now)
        if said is None:
            await asyncio.Event().wait()
        if isinstance(said, MintFailed) and said.verdict is Verdict.THROTTLED:
            raise said  # who counts requests refuses them at the door
        await asyncio.sleep(self.latency_s())
        if isinstance(said, MintFailed):
            raise said
        if isinstance(said, Verdict):
            raise MintFailed(said)
        return said

    def names(self) -> list[str]:
        return [row.name for _, row in self.asked]

    def per_domain(self) -> Counter[str]:
        return Counter(row.domain.name for _, row in self.asked)


def chain_of(rows, upstream, **limits) -> MintChain:
    """A chain on the running loop's clock, with jitter that always takes the middle."""
    clock = asyncio.get_running_loop().time
    health = Health(rows, now=clock, jitter=lambda low, high: (low + high) / 2)
    return MintChain(health, upstream, now=clock, **limits)


def lognormal(seed: int) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.lognormvariate(-1.715, 0.35)  # median 180 ms

"""Asks every row once, as the broker asks it for a caller, and keeps what an operator may know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import aiohttp

from broker.minting.attempt import Asking
from broker.minting.chain import ATTEMPT_S, MintChain
from broker.minting.health import Health
from broker.minting.outcomes import EphemeralToken, MintFailed, Part, Verdict
from broker.minting.strategies import Row
from broker.probing.hearing import Heard, Witness, cause_of
from broker.session import SessionSpec
from broker.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the probe waits, in seconds, and how many rows it asks at a time.

    It waits longer than the broker: "slow" and "dead" are mended differently.
    """

    connect_s: float = 3.0
    row_s: float = 6.0
    all_s: float = 30.0
    together: int = 8
    broker_s: float = ATTEMPT_S


@dataclass(frozen=True, slots=True)
class Finding:
    """One row, asked once. ``verdict``: None when it minted. ``cause``: what we know beyond Azure's code."""

    row: Row
    verdict: Verdict | None
    ms: int = 0
    status: int | None = None
    cause: str = ""
    retry_after_s: float | None = None
    left_out: frozenset[Part] = frozenset()
    heard: Heard | None = None

    @property
    def minted(self) -> bool:
        return self.verdict is None


class Prober:
    """Asks rows over one HTTP session, each with a health of its own: what one row learns helps no other."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        spec: SessionSpec,
        *,
        filtered: bool,
        patience: Patience,
        why_not_ready: Callable[[], str] = str,
    ) -> None:
        self._session = session
        self._spec = spec
        self._filtered = filtered
        self.patience = patience
        self._why_not_ready = why_not_ready

    async def ask_all(self, rows: Sequence[Row], answered: Callable[[], None]) -> list[Finding]:
        """A finding for every row, in their order, within the deadline."""
        gate = asyncio.Semaphore(self.patience.together)
        end = asyncio.get_running_loop().time() + self.patience.all_s

        async def one(row: Row) -> Finding:
            try:
                async with asyncio.timeout_at(end), gate:
                    return await self._ask(row)
            except TimeoutError:
                return Finding(row, Verdict.TIMEOUT, cause="deadline")
            finally:
                answered()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(row), name=f"probe {row.name}") for row in rows]
        return [task.result() for task in tasks]

    async def mint(self, row: Row, left_out: Collection[Part]) -> EphemeralToken:
        """A fresh token by that row. Raises `MintFailed`."""
        chain, _ = self._chain(row)
        for part in left_out:
            chain.health.refuses(row, part)
        return await chain.attempt(row, self._spec, self.patience.row_s)

    def upstream(self, answer_s: float) -> Upstream:
        return Upstream(self._session, connect_s=self.patience.connect_s, answer_s=answer_s)

    def _chain(self, row: Row) -> tuple[MintChain, Witness]:
        patience = self.patience
        witness = Witness(self._session, connect_s=patience.connect_s, answer_s=patience.row_s)
        ask = Asking(witness, filtered=self._filtered)
        return MintChain(Health([row], now=time.monotonic), ask, now=time.monotonic), witness

    async def _ask(self, row: Row) -> Finding:
        chain, witness = self._chain(row)
        began = time.monotonic()
        failure: MintFailed | None = None
        try:
            await chain.attempt(row, self._spec, self.patience.row_s)
        except MintFailed as exc:
            failure = exc
        taken_s = time.monotonic() - began
        verdict, cause = self._judged(failure, witness.last, taken_s)
        return Finding(
            row,
            verdict,
            ms=round(taken_s * 1000),
            status=witness.last.status if witness.last else None,
            cause=cause,
            retry_after_s=failure.retry_after_s if failure else None,
            left_out=chain.health.omitted(row),
            heard=witness.last,
        )

    def _judged(
        self, failure: MintFailed | None, last: Heard | None, taken_s: float
    ) -> tuple[Verdict | None, str]:
        if failure is None:
            return (Verdict.TIMEOUT, "late") if taken_s > self.patience.broker_s else (None, "")
        if failure.verdict is Verdict.NOT_READY:
            return failure.verdict, self._why_not_ready()
        if failure.verdict is Verdict.BAD_ANSWER and last is not None and last.is_page:
            return failure.verdict, "page"
        cause = cause_of(failure)
        return (Verdict.INSECURE if cause == "certificate" else failure.verdict), cause

"""Putting on record: an intent before something is done, a result after it, and both must be kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Unpack

from broker.edge.audit.entries import Action, Decision, Fields, More, Who, entry
from broker.edge.audit.port import AuditFailed
from broker.edge.audit.writer import WRITE_S, Writer
from broker.edge.tracing import Tracing

DENIALS_A_SECOND = 10.0
DENIALS_AT_ONCE = 100.0


@dataclass(frozen=True, slots=True)
class Begun:
    """An intent that is being written, and what it says."""

    fields: Fields
    answer: asyncio.Future[int | AuditFailed] | None = field(repr=False)


class Act:
    """Something that is on record as intended under the number ``of``, for the time it is being done."""

    def __init__(self, fields: Fields, of: int | None) -> None:
        self._fields: dict[str, Any] = {**fields, "of": of}
        self._also: list[Fields] = []

    def came_to(self, **more: Unpack[More]) -> None:
        """What is to be said of the result, beyond that it is done."""
        self._fields.update(more)

    def also(self, action: Action) -> None:
        """Something else that is done when it is, for the same write."""
        self._also.append({**self._fields, "action": action.value})

    def done(self) -> list[Fields]:
        return [self._fields, *self._also]

    def failed(self, exc: BaseException) -> list[Fields]:
        return [{**self._fields, "decision": Decision.FAILED.value, "reason": type(exc).__name__}]


class Audit:
    """Writes entries. Without a writer, where no audit is asked for, everything succeeds and nothing is kept.

    ``monotonic`` gives the seconds that refusals are counted by.
    """

    def __init__(
        self,
        writer: Writer | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        write_s: float = WRITE_S,
        tracing: Tracing | None = None,
    ) -> None:
        self._writer = writer
        self._tracing = tracing or Tracing()
        self._write_s = write_s
        self._denials = Allowance(monotonic)
        self._late = 0

    @property
    def failures(self) -> int:
        """How often something was not put on record, or not in time."""
        return self._late + (self._writer.failures if self._writer else 0)

    def begin(self, fields: Fields) -> Begun:
        """Start writing an intent, beside what else must be done before: `recorded` waits for it."""
        return Begun(fields, self._submit([{**fields, "decision": Decision.INTENT.value}]))

    @asynccontextmanager
    async def recorded(self, begun: Begun) -> AsyncIterator[Act]:
        """For doing what was begun: its intent is kept when this is entered, its result when it is left.

        Raises `AuditFailed`: on entering, and nothing may be done; on leaving, and nothing may be told of it.
        """
        act = Act(begun.fields, await self._kept(begun.answer) if begun.answer else None)
        try:
            yield act
        except Exception as exc:
            await self.write(*act.failed(exc))
            raise
        except BaseException as exc:  # who is cancelled cannot wait
            self._submit(act.failed(exc))
            raise
        await self.write(*act.done())

    async def write(self, *entries: Fields) -> None:
        """Returns when they are kept. Raises `AuditFailed`."""
        if answer := self._submit(entries):
            await self._kept(answer)

    def deny(self, who: Who, reason: str, route: str) -> None:
        """Note that somebody was refused. Of too many at once the rest is counted: nobody may fill a disk."""
        left_out = self._denials.spend()
        if left_out is not None:
            denied = entry(Action.AUTHZ_DENY, who, Decision.DENIED, reason=reason, route=route)
            # Nobody waits for it; that it failed is in the log.
            self._submit([{**denied, "left_out": left_out} if left_out else denied])

    def _submit(self, entries: Sequence[Fields]) -> asyncio.Future[int | AuditFailed] | None:
        if self._writer is None:
            return None
        return self._writer.submit(entries)

    async def _kept(self, answer: asyncio.Future[int | AuditFailed]) -> int:
        deadline = asyncio.get_running_loop().call_later(self._write_s, self._too_late, answer)
        try:
            with self._tracing.span("audit.write"):
                outcome = await answer
        finally:
            deadline.cancel()
        if isinstance(outcome, AuditFailed):
            raise outcome
        return outcome

    def _too_late(self, answer: asyncio.Future[int | AuditFailed]) -> None:
        if not answer.done():
            self._late += 1
            answer.set_result(AuditFailed("the audit takes too long"))


class Allowance:
    """How many denials may still be written: so many at once, and so many more with every second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left = DENIALS_AT_ONCE
        self._counted_at = now()
        self._left_out = 0

    def spend(self) -> int | None:
        """How many were left out since the last that was not; None when this one is left out too."""
        now = self._now()
        self._left = min(DENIALS_AT_ONCE, self._left + (now - self._counted_at) * DENIALS_A_SECOND)
        self._counted_at = now
        if self._left < 1:
            self._left_out += 1
            return None
        self._left -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out

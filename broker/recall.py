"""What enrichment remembers of a person, read within a budget. A miss is a miss: no call waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import structlog
from pydantic import BaseModel, ValidationError

from broker.edge.tracing import CLIENT, Tracing, current_traceparent, note
from broker.upstream import Answer, NoAnswer, TooLate, Upstream

log = structlog.get_logger(__name__)


class MemoryStatus(StrEnum):
    """What came of asking; the page shows it apart from the voice."""

    HIT = "hit"
    MISS = "miss"
    TIMEOUT = "timeout"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Remembered:
    """Facts about the person, as sentences, newest first; none unless the status is a hit."""

    status: MemoryStatus
    facts: tuple[str, ...] = ()


class _Context(BaseModel):
    """The part of enrichment's answer we rely on."""

    facts: list[str]


class Recall:
    """Reads ``GET /memory/context`` with the grant of the session that is about to begin."""

    def __init__(
        self, upstream: Upstream, url: str, *, budget_s: float, tracing: Tracing | None = None
    ) -> None:
        self._upstream = upstream
        self._tracing = tracing or Tracing()
        self._url = url
        self._budget_s = budget_s

    async def facts(self, grant: str, session_id: str | None) -> Remembered:
        """What to know of the grant's person; more to the point when ``session_id`` is one that goes on.

        Never raises for what memory does: a mint must not fail because memory did.
        """
        with self._tracing.span("memory.recall", kind=CLIENT):
            remembered = await self._facts(grant, session_id)
            note({"memory.status": remembered.status.value})
        return remembered

    async def _facts(self, grant: str, session_id: str | None) -> Remembered:
        url = self._url if session_id is None else f"{self._url}?session_id={session_id}"
        try:
            async with asyncio.timeout(self._budget_s):
                answer = await self._upstream.ask("GET", url, _headers(grant))
        except (TimeoutError, TooLate):
            return Remembered(MemoryStatus.TIMEOUT)
        except NoAnswer as exc:
            return _miss(type(exc).__name__)
        return _remembered(answer)


def _headers(grant: str) -> dict[str, str]:
    """Enrichment's part of the trace hangs on ours."""
    traceparent = current_traceparent()
    carried = {"traceparent": traceparent} if traceparent else {}
    return {"Authorization": f"Bearer {grant}", **carried}


def _remembered(answer: Answer) -> Remembered:
    if not answer.is_success:
        return _miss(f"HTTP {answer.status}")
    try:
        facts = _Context.model_validate_json(answer.body).facts
    except ValidationError as exc:
        return _miss(type(exc).__name__)
    return Remembered(MemoryStatus.HIT if facts else MemoryStatus.MISS, tuple(facts))


def _miss(reason: str) -> Remembered:
    log.warning("memory.unreadable", reason=reason)
    return Remembered(MemoryStatus.MISS)


class NoRecall:
    """Memory is not configured."""

    async def facts(self, grant: str, session_id: str | None) -> Remembered:  # noqa: ARG002 - as Recall
        return Remembered(MemoryStatus.OFF)

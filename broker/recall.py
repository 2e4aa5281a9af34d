"""What enrichment remembers of a person, read within a budget. A miss is a miss: no call waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import httpx
import structlog
from pydantic import BaseModel, ValidationError

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

    def __init__(self, http: httpx.AsyncClient, url: str, *, budget_s: float) -> None:
        self._http = http
        self._url = url
        self._budget_s = budget_s

    async def facts(self, grant: str, session_id: str) -> Remembered:
        """Never raises for what memory does: a mint must not fail because memory did."""
        try:
            async with asyncio.timeout(self._budget_s):
                response = await self._http.get(
                    self._url,
                    params={"session_id": session_id},
                    headers={"Authorization": f"Bearer {grant}"},
                )
                response.raise_for_status()
                facts = _Context.model_validate_json(response.content).facts
        except (TimeoutError, httpx.TimeoutException):
            return Remembered(MemoryStatus.TIMEOUT)
        except (httpx.HTTPError, ValidationError) as exc:
            log.warning("memory.unreadable", error=type(exc).__name__)
            return Remembered(MemoryStatus.MISS)
        return Remembered(MemoryStatus.HIT if facts else MemoryStatus.MISS, tuple(facts))


class NoRecall:
    """Memory is not configured."""

    async def facts(self, grant: str, session_id: str) -> Remembered:  # noqa: ARG002 - Recall's parameters
        return Remembered(MemoryStatus.OFF)

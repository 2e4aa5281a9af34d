"""What both Zeps share on the wire: how they refuse, how long we wait, and the names we give them.

Whatever goes wrong leaves here as `Unreachable` or `Rejected`, with a status and no text: an answer may quote
what was said, and an SDK's exception carries the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx

from broker.edge.ids import SESSION_ID
from enrichment.memory.port import Unreachable

# A Zep whose extraction hangs answers after 5 s, twice in a row for a message of a user (observed on Zep
# Community Edition, 2026-11-20). With a client of ours zep-python waits for ever unless it is told.
ANSWER_S = 12.0
REMEMBER_S = 18.0  # less than the delivery waits, so that it hears the reason
READ_S = 10.0
ERASE_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0
REASON_BYTES = 4_096

ABOUT_WHAT_WAS_SENT = frozenset({400, 413, 422})

Answer = TypeVar("Answer")


class Refused(Exception):
    """Zep answered with an error. ``reason`` is for comparing with what we know, and for nobody to see."""

    def __init__(self, status: int, reason: str, retry_after_s: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    def says(self, words: str) -> bool:
        """Whether the reason begins with these words; further on it may quote what somebody said."""
        return self.reason.startswith(words)

    @property
    def is_about_what_was_sent(self) -> bool:
        """Whether the same will be refused again; not so when it is the key, the route or the moment.

        A message that comes while its session is being made is refused with 400 like one that is too long.
        """
        passes = self.says("session already exists") or self.says("invalid_identifier")
        return self.status in ABOUT_WHAT_WAS_SENT and not passes


async def refuse(response: httpx.Response) -> None:
    """A response hook: nothing but success reaches an SDK.

    What they make of an error depends on its status and its body: a typed exception, an untyped one without
    headers, one for a body that is not JSON (zep-python 2.0.2, read 2026-11-20). And 302 is no success.
    """
    if response.is_success:
        return
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= REASON_BYTES:
            break
    wait_s = retry_after_s(response.headers.get("retry-after"), now=datetime.now(UTC))
    raise Refused(response.status_code, reason_of(bytes(body)), wait_s)


def reason_of(body: bytes) -> str:
    """The message of a Community Edition or the code of a Cloud; empty when there is neither."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    match told:
        case {"error": {"code": str(code)}}:
            return code
        case {"message": str(message)}:
            return message.removeprefix("bad request: ")
        case _:
            return ""


def retry_after_s(value: str | None, *, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header in either form; None when there is none that can be read."""
    if value is None:
        return None
    try:
        wish_s = float(value) if re.fullmatch(r"\d{1,9}", value) else _until(value, now)
    except ValueError:
        return None
    return min(max(wish_s, 0.0), LONGEST_RETRY_AFTER_S)


def _until(date: str, now: datetime) -> float:
    moment = parsedate_to_datetime(date)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


@asynccontextmanager
async def asking(within_s: float, *broken: type[Exception]) -> AsyncIterator[None]:
    """The boundary: inside, Zep is asked; outside, only what `Memory` promises is raised.

    ``broken`` are further exceptions with which an SDK says that it cannot read an answer.
    """
    unreadable: tuple[type[Exception], ...] = (ValueError, *broken)
    try:
        async with asyncio.timeout(within_s):
            yield
    except Refused as exc:
        raise Unreachable(f"Zep answered {exc.status}", retry_after_s=exc.retry_after_s) from exc
    except httpx.HTTPError as exc:
        raise Unreachable(f"Zep gave no answer: {type(exc).__name__}") from exc
    except TimeoutError:
        raise Unreachable("Zep takes too long") from None
    except unreadable:  # no JSON, or another: its text would quote the answer
        raise Unreachable("Zep answered something that is no answer") from None


async def or_none(answer: Awaitable[Answer]) -> Answer | None:
    """The answer; None when Zep says that there is no such thing."""
    try:
        return await answer
    except Refused as exc:
        if exc.status == 404:
            return None
        raise


async def or_exists(making: Awaitable[object], thing: str) -> None:
    """Make something that may be there already. Zep Community Edition says 400 where others say 409."""
    try:
        await making
    except Refused as exc:
        if exc.status != 409 and not exc.says(f"{thing} already exists"):
            raise


def user_id(person: str) -> str:
    """The person's id in Zep: ``p-`` and the SHA-256 of ours in hex.

    Ours holds colons and whatever an identity provider puts into a subject; SDKs put ids into addresses as
    they are, where ``../users/U?`` is another user. This one is safe anywhere, always the same for the same
    person, and tells nobody who it is.
    """
    return "p-" + hashlib.sha256(person.encode()).hexdigest()


def is_session_id(value: str) -> bool:
    """Whether a session's id may stand in an address; the grammar is the edge's, checked here once more."""
    return re.fullmatch(SESSION_ID, value) is not None

"""What an operator may know of what an upstream said or did: names and numbers, never a body."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from broker.minting.attempt import REQUEST_ID
from broker.upstream import Answer, AnswerTooLarge, Upstream

# What upstream text must look like to be shown: names that Azure gives, and nothing that a key can be.
CODE = re.compile(r"[A-Za-z_]{3,40}|\d{3}")
PARAM = re.compile(r"[a-z_.]{3,80}")
# The first of these in what led to a failure says most about it.
CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError, aiohttp.ClientSSLError), "certificate"),
    ((socket.gaierror,), "dns"),
    ((ConnectionRefusedError,), "closed port"),
    ((aiohttp.ConnectionTimeoutError,), "no connection"),
    ((AnswerTooLarge,), "large"),
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What Azure said last about one row; never a body. ``skew_s``: how far this machine's clock is ahead."""

    status: int
    code: str = ""
    param: str = ""
    request_id: str | None = None
    skew_s: float | None = None
    is_page: bool = False


class Witness(Upstream):
    """An upstream that remembers what was heard last. One per row."""

    last: Heard | None = None

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        sent_at = time.time()
        answer = await super().ask(method, url, headers, content)
        self.last = heard(answer, sent_at, time.time())
        return answer


def heard(answer: Answer, sent_at: float, now: float) -> Heard:
    """What may be shown of an answer; anything in it that could be more than a name is dropped."""
    error = _error_in(answer)
    request_id = answer.headers.get("apim-request-id") or answer.headers.get("x-request-id") or ""
    return Heard(
        status=answer.status,
        code=_only(CODE, error.get("code")),
        param=_only(PARAM, error.get("param")),
        request_id=_only(REQUEST_ID, request_id) or None,
        skew_s=_skew_s(answer.headers.get("date"), sent_at, now),
        is_page="html" in answer.headers.get("content-type", ""),
    )


def cause_of(failure: BaseException) -> str:
    """What led to a failure, in a word; empty when Azure's answer says it all."""
    links = list(_links(failure))
    return next((word for kinds, word in CAUSES if any(isinstance(link, kinds) for link in links)), "")


def _links(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _error_in(answer: Answer) -> dict[str, object]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _only(shape: re.Pattern[str], text: object) -> str:
    return text if isinstance(text, str) and shape.fullmatch(text) else ""


def _skew_s(date: str | None, sent_at: float, now: float) -> float | None:
    """How far this machine's clock is ahead: their date lies between our asking and their answer."""
    try:
        theirs = parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
    return None if theirs is None else max(0.0, sent_at - theirs) + min(0.0, now - theirs)

"""Asking an upstream over HTTP: a prepared address, explicit timeouts, a bounded answer, no redirects.

The request goes to httpx's transport without its client: what the client adds (cookies, defaults merged into
every request, the address parsed again) is of no use here and cost a third of a mint's CPU.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import aiohttp
import httpx

ANSWER_BYTES = 64 * 1024


class NoAnswer(Exception):
    """Nothing came back that could be read: no connection, or rubbish in the place of HTTP."""


class Insecure(NoAnswer):
    """Who answered could not prove to be who we asked; never overridden."""


class TooLate(NoAnswer):
    """Nothing came back in time."""


class AnswerTooLarge(NoAnswer):
    """The upstream sent more than anything we ask for can be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream sent, read to its end."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Upstream:
    """One upstream behind one shared transport and its pool. Times are in seconds."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, connect_s: float, answer_s: float) -> None:
        self._transport = transport
        self._extensions = {"timeout": httpx.Timeout(answer_s, connect=connect_s).as_dict()}

    async def ask(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """Raises `NoAnswer` for whatever the upstream does short of answering."""
        plain = {"Accept-Encoding": "identity", **headers}
        request = httpx.Request(method, url, headers=plain, content=content, extensions=self._extensions)
        try:
            response = await self._transport.handle_async_request(request)
            try:
                return Answer(response.status_code, response.headers, await _read_capped(response))
            finally:
                await response.aclose()
        # httpx-aiohttp passes on what it does not know, and a wild header is a ValueError of httpx.
        except (httpx.RequestError, aiohttp.ClientError, ValueError) as exc:
            raise _what_happened(exc)(type(exc).__name__) from exc


def _what_happened(exc: Exception) -> type[NoAnswer]:
    if _is_insecure(exc):
        return Insecure
    return TooLate if isinstance(exc, httpx.TimeoutException) and _was_late(exc) else NoAnswer


def _was_late(exc: httpx.TimeoutException) -> bool:
    """httpx-aiohttp 0.2 calls every lost connection a timeout; what it was is in the cause."""
    return not isinstance(exc.__cause__, aiohttp.ClientError) or isinstance(exc.__cause__, TimeoutError)


def _is_insecure(exc: Exception) -> bool:
    causes = (exc, exc.__cause__, exc.__context__)
    return any(isinstance(cause, ssl.SSLError | aiohttp.ClientSSLError) for cause in causes)


async def _read_capped(response: httpx.Response) -> bytes:
    """The body as it came: nobody asked for a coded one."""
    body = bytearray()
    stream = cast(httpx.AsyncByteStream, response.stream)
    async for chunk in stream:
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise AnswerTooLarge
    return bytes(body)

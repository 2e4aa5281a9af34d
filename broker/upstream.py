"""Asking an upstream over HTTP: explicit timeouts, a bounded answer, no redirects.

aiohttp's session directly: with httpx in between, a request cost 98 µs of CPU instead of 53, and a mint makes
two (measured with both in one run).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

ANSWER_BYTES = 64 * 1024
CONNECTIONS = 200
IDLE_S = 50.0  # then a connection is closed: what stands in front of Azure does it a little later


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
    """What the upstream sent, read to its end. Header names are in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def http_session() -> aiohttp.ClientSession:
    """What the broker speaks HTTP with: its pool is shared, and it is open inside ``async with``."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # nobody asked for a coded answer
        trust_env=False,
    )


class Upstream:
    """One upstream behind one shared session and its pool. Times are in seconds."""

    def __init__(self, session: aiohttp.ClientSession, *, connect_s: float, answer_s: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(connect=answer_s, sock_connect=connect_s, sock_read=answer_s)

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """Raises `NoAnswer` for whatever the upstream does short of answering."""
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers={"Accept-Encoding": "identity", **headers},
                data=content,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, response.headers, await _read_capped(response.content))
        # aiohttp does not wrap all that a socket raises, and a wild header is a ValueError.
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _what_happened(exc)(type(exc).__name__) from exc


def _what_happened(exc: Exception) -> type[NoAnswer]:
    if isinstance(exc, ssl.SSLError | aiohttp.ClientSSLError):
        return Insecure
    return TooLate if isinstance(exc, TimeoutError) else NoAnswer


async def _read_capped(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise AnswerTooLarge
    return bytes(body)

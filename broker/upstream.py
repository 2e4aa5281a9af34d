"""Asking an upstream over HTTP: a prepared address, explicit timeouts, a bounded answer, no redirects.

Requests are built here and not by httpx's client: merging its defaults into every request and parsing the
address again cost more than everything else a mint does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

ANSWER_BYTES = 64 * 1024


class AnswerTooLarge(Exception):
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
    """One upstream behind one shared client. Times are in seconds."""

    def __init__(self, http: httpx.AsyncClient, *, connect_s: float, answer_s: float) -> None:
        self._http = http
        self._extensions = {"timeout": httpx.Timeout(answer_s, connect=connect_s).as_dict()}

    async def ask(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """Raises `httpx.TransportError`, timeouts among them, or `AnswerTooLarge`."""
        request = httpx.Request(method, url, headers=headers, content=content, extensions=self._extensions)
        response = await self._http.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            return Answer(response.status_code, response.headers, await _read_capped(response))
        finally:
            await response.aclose()


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise AnswerTooLarge
    return bytes(body)

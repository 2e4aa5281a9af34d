"""HTTP/1.1 as the fake needs it: answers that come late or never, connections that break, ports that refuse.

An ASGI server can do none of the last three, and costs more than the broker that is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

REASONS = {200: b"OK", 201: b"Created", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests"}


@dataclass(slots=True)
class Asked:
    """A request read to its end. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Wire(asyncio.Protocol):
    """One connection. ``on_asked`` gets each request and may answer it at any time, or never."""

    def __init__(self, on_asked: Callable[[Asked, Wire], None], alive: set[Wire]) -> None:
        self._on_asked = on_asked
        self._alive = alive
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._alive.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        asked = Asked(method, self._path.decode("latin-1"), self._headers, self._body)
        self._begin()
        self._on_asked(asked, self)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bool:
        """Whether anybody was still there to hear it."""
        if self._transport is None or self._transport.is_closing():
            return False
        kind = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in kind.items()).encode("latin-1")
        reason = REASONS.get(status, b"Error")
        self._transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, reason, lines, body))
        return True

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body = b""


@dataclass
class Port:
    """A port of this machine that can be closed, with all its connections, and opened again."""

    number: int
    on_asked: Callable[[Asked, Wire], None]
    _wires: set[Wire] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Wire(self.on_asked, self._wires), "127.0.0.1", self.number, backlog=2048
        )

    def refuse(self) -> None:
        """From now on connections are refused; those there are break."""
        if self._server is not None:
            self._server.close()
        for wire in list(self._wires):
            wire.abort()

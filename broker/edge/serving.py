"""The HTTP server: patient for as long as a request may take to come, and leaving without dropping any."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEEP_ALIVE_S = 75  # longer than the idle time of the proxies in front, so that they never reuse a dead socket
REQUEST_S = 20.0  # from the first byte of a connection or request to its last; uvicorn would wait for ever
NOT_STARTED = 3  # as uvicorn itself exits
HEAD_BYTES = 64 * 1024  # of request line and headers, which httptools counts as little
TOO_MUCH_HEAD = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class PatientProtocol(HttpToolsProtocol):
    """A connection that must bring its request within `REQUEST_S`, and its head within `HEAD_BYTES`."""

    _late: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._late is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_MUCH_HEAD)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._late is None:
            self._expect()

    def on_headers_complete(self) -> None:
        self._head_bytes = -sys.maxsize  # what comes now is body, which the app counts
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._has_come()
        super().on_message_complete()

    def _expect(self) -> None:
        self._head_bytes = 0
        self._late = self.loop.call_later(REQUEST_S, self.timeout_keep_alive_handler)

    def _has_come(self) -> None:
        self._head_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Leaving:
    """Answers as the app does. Once ``began``, it is not ready, and every answer ends its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.began = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.began or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        not_ready = JSONResponse({"status": "leaving"}, 503, {"Cache-Control": "no-store"})
        respond: Any = not_ready if scope["path"] == "/ready" else self._app
        await respond(scope, receive, send_last)


class Server(uvicorn.Server):
    """On SIGTERM it says for ``drains_for_s`` that it is not ready, and serves whoever has not heard it yet.

    Then it listens no more, and ends when all that it took is answered. A second signal ends the waiting.
    """

    def __init__(self, config: uvicorn.Config, leaving: Leaving, drains_for_s: float) -> None:
        super().__init__(config)
        self._leaving = leaving
        self._drains_for_s = drains_for_s
        self._leaves_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and not self._leaving.began and self._drains_for_s:
            self._leaving.began = True
            self._leaves_at = time.monotonic() + self._drains_for_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)


def serve_http(app: ASGIApp, *, host: str, port: int, drains_for_s: float) -> None:
    """Until SIGINT or SIGTERM; what it has begun to answer is answered. Exits with 3 when it never began."""
    leaving = Leaving(app)
    server = Server(config_of(leaving, host=host, port=port), leaving, drains_for_s)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def config_of(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """How uvicorn serves either service."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        workers=1,  # WEB_CONCURRENCY of the shell would start several, each with a key of its own
        ws="none",
        proxy_headers=False,  # whom to believe is TRUSTED_PROXIES' to say
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
    )

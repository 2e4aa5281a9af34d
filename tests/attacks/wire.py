"""What an attacker writes by hand: bytes on a socket to a service as it is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from broker.edge.serving import config_of
from tests.simulator.listening import START_S, SelfMade


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Its address, in the running loop, with the very server that ``serve`` starts."""
    server = SelfMade(config_of(app, host="127.0.0.1", port=0))
    serving = asyncio.create_task(server.serve(), name="served")
    try:
        async with asyncio.timeout(START_S):
            await server.listens.wait()
        yield f"http://127.0.0.1:{port_of(server)}"
    finally:
        server.stopped.set()
        await serving


def port_of(server: uvicorn.Server) -> int:
    return server.servers[0].sockets[0].getsockname()[1]


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


async def said_to(address: str, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """What comes back until the service closes; ``parts`` are written one after the other."""
    reader, writer = await asyncio.open_connection(urlsplit(address).hostname, urlsplit(address).port)
    answering = asyncio.create_task(all_of(reader))
    try:
        for part in parts:
            if answering.done() or writer.is_closing():
                break
            writer.write(part)
            await asyncio.wait([answering], timeout=pause_s)
        async with asyncio.timeout(10):
            return await answering
    finally:
        await closed(writer)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What came, also when the other end then resets the connection: it may close with something unread."""
    came = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(0x10000):
            came += chunk
    return came


async def closed(writer: asyncio.StreamWriter) -> None:
    """However the other end took it."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0

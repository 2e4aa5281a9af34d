"""A simulated server on a real port of this process, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

START_S = 10.0


class SelfMade(uvicorn.Server):
    """Says when it listens, ends at once when told, and leaves the signals to whoever runs the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens, self.stopped = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def main_loop(self) -> None:
        await self.stopped.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """The address of ``app``, served in the running loop."""
    # Of TCP by name: asyncio switches Nagle off for such alone, and each answer would take 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        server = SelfMade(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve([free]), name=f"simulator on {address}")
        try:
            async with asyncio.timeout(START_S):
                await server.listens.wait()
            yield address
        finally:
            server.stopped.set()
            await serving

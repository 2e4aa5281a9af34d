"""A started ASGI app as an HTTP client, in this process and without a port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

START_DEADLINE_S = 20.0


@asynccontextmanager
async def running(app: Any, **client: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Speak the ASGI lifespan protocol to ``app`` and call it over `httpx.ASGITransport`.

    Not Starlette's TestClient: it warns with httpx, and warnings are errors here. A mistake in the app
    comes back as its 500 response, as it would over a socket.
    """
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    lifespan = asyncio.create_task(app(scope, to_app.get, from_app.put), name="lifespan")

    async def phase(name: str) -> None:
        await to_app.put({"type": f"lifespan.{name}"})
        async with asyncio.timeout(START_DEADLINE_S):
            answer = await from_app.get()
        assert answer["type"] == f"lifespan.{name}.complete", answer.get("message")

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"state": state.copy()}, receive, send)

    await phase("startup")
    transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test", **client) as http:
            yield http
    finally:
        await phase("shutdown")
        await lifespan

"""The least that a mint through Python can cost: Starlette, one shared aiohttp session, the bytes passed on.

``python -m tests.bench.mint.floor``: no sign-in, no checks, no memory, no retry, no log.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.mint.upstream import SESSION

HEADERS = {"Content-Type": "application/json", "api-key": "bench-key"}


class State(TypedDict):
    """What the lifespan opened."""

    http: aiohttp.ClientSession
    url: str
    body: bytes


async def mint(request: Request[State]) -> Response:
    await request.json()
    state = request.state
    async with state["http"].post(state["url"], data=state["body"], headers=HEADERS) as answer:
        return Response(await answer.read(), answer.status, media_type="application/json")


def create_app(url: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with aiohttp.ClientSession() as http:
            yield {"http": http, "url": url, "body": json.dumps({"session": SESSION}).encode()}

    return Starlette(routes=[Route("/token", mint, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="the address of the mint route")
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.upstream), port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

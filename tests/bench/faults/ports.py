"""What the broker replaces, ported in our own words, so that the same faults can be put to it.

``original``: one endpoint, one shape, a new HTTP client for every request, 30 s, no second try.
``seed-chain``: four ways in a fixed order, 30 s each, nothing remembered; the managed identity is asked for
its access token when its turn comes. Both are given the documented route where the originals used another,
and accept an integer ``expires_at``; with their own, neither ever mints.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.bench.faults.azure import CALLS_PATH
from tests.bench.faults.domain import DATED_PATHS, GA_PATH, first_key, second_key

PATIENCE_S = 30.0
KEEP_ALIVE_S = 75
NESTED = {"session": {"type": "realtime", "model": "gpt-realtime", "instructions": "You are Elena."}}
FLAT = {"model": "gpt-realtime", "modalities": ["audio", "text"], "instructions": "You are Elena."}


@dataclass(frozen=True, slots=True)
class Azure:
    """The one resource that both know. ``identity`` None: no managed identity, but a second key."""

    endpoint: str
    identity: str | None


async def mint(http: httpx.AsyncClient, azure: Azure, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """Raises `httpx.HTTPError`, or `ValueError` when the answer is no JSON or holds no token."""
    body = NESTED if path == GA_PATH else FLAT
    response = await http.post(azure.endpoint + path, json=body, headers=headers)
    response.raise_for_status()
    minted = response.json()
    if not minted.get("value"):
        raise ValueError("no token")
    return {"token": minted["value"], "calls_url": azure.endpoint + CALLS_PATH}


async def original(azure: Azure) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        return await mint(http, azure, GA_PATH, {"api-key": first_key("A")})


async def seed_chain(azure: Azure) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        async for path, headers in ways(http, azure):
            try:
                return await mint(http, azure, path, headers)
            except (httpx.HTTPError, ValueError):
                continue
    raise ValueError("no way minted")


async def ways(http: httpx.AsyncClient, azure: Azure) -> AsyncIterator[tuple[str, dict[str, str]]]:
    unified, _, project = DATED_PATHS
    key = {"api-key": first_key("A")}
    for path in (unified, project, GA_PATH):
        yield path, key
    if azure.identity is None:
        yield GA_PATH, {"api-key": second_key("A")}
    else:
        async with asyncio.timeout(PATIENCE_S):
            answer = await http.get(azure.identity)
        yield GA_PATH, {"Authorization": f"Bearer {answer.json()['access_token']}"}


def app_of(azure: Azure, *, is_chain: bool) -> Starlette:
    ask = seed_chain if is_chain else original

    async def token(_request: Request) -> JSONResponse:
        try:
            return JSONResponse(await ask(azure))
        except (httpx.HTTPError, ValueError, TimeoutError):
            return JSONResponse({"detail": "no token"}, 502)

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "healthy"})

    return Starlette(routes=[Route("/realtime/token", token, methods=["POST"]), Route("/health", health)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults.ports", description=__doc__)
    parser.add_argument("which", choices=["original", "seed-chain"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--identity", help="address of the managed identity, where there is one")
    given = parser.parse_args()
    app = app_of(Azure(given.endpoint, given.identity), is_chain=given.which == "seed-chain")
    uvicorn.run(app, port=given.port, log_level="error", access_log=False, timeout_keep_alive=KEEP_ALIVE_S)


if __name__ == "__main__":
    main()

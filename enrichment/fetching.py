"""Fetching a key set with the client that enrichment has: no more of it than a key set can be."""

from __future__ import annotations

import httpx

from broker.edge.jwks import KEY_SET_BYTES, NotFetched

AS_IT_IS: dict[str, str] = {"Accept-Encoding": "identity"}  # what is packed small may be any size


async def fetch_key_set(http: httpx.AsyncClient, url: str) -> bytes:
    """Raises `NotFetched` for every answer but a whole one, redirects included."""
    try:
        async with http.stream("GET", url, headers=AS_IT_IS) as response:
            if response.status_code != httpx.codes.OK:
                raise NotFetched
            return await _read_capped(response)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise NotFetched from exc


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > KEY_SET_BYTES:
            raise NotFetched
    return bytes(body)

"""Anchors in Azure Blob Storage: one append blob a chain and day, in a container where nobody changes them.

The container needs a locked time-based retention policy that allows protected append writes; then blocks can
be added and none changed or deleted, by us neither. One blob holds 50 000 blocks, a day of ours some 1 440.

Sources: https://learn.microsoft.com/en-us/rest/api/storageservices/append-block, …/put-blob,
…/azure/storage/blobs/immutable-policy-configure-container-scope (checked 2026-11-20). Never tried live.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from broker.edge.audit.files import anchor_line
from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import Head

VERSION = "2021-08-06"
SCOPE = "https://storage.azure.com/.default"
ANSWER_S = 5.0
CREATED, EXISTS, MISSING = 201, frozenset({409, 412}), frozenset({404})


def access_token_of(identity: AsyncTokenCredential) -> Callable[[], Awaitable[str]]:
    """What gives an access token for storage; the SDK keeps it as long as it is good."""

    async def access_token() -> str:
        try:
            return (await identity.get_token(SCOPE)).token
        except AzureError as exc:
            raise SinkFailed(type(exc).__name__) from exc

    return access_token


class BlobAnchors:
    """Adds to the blobs of one container. ``access_token`` gives one for `SCOPE`."""

    def __init__(
        self, http: aiohttp.ClientSession, container: str, access_token: Callable[[], Awaitable[str]]
    ) -> None:
        self._http = http
        self._container = container
        self._access_token = access_token

    async def put(self, head: Head, at_s: float) -> None:
        """Makes the blob when it is not there. Raises `SinkFailed`; an anchor put twice does no harm."""
        day = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d")
        blob, text = f"{self._container}/{head.chain}.{day}.jsonl", anchor_line(head, at_s)
        if await self._ask(f"{blob}?comp=appendblock", text, {}) not in MISSING:
            return
        await self._ask(blob, b"", {"x-ms-blob-type": "AppendBlob", "If-None-Match": "*"}, EXISTS)
        if await self._ask(f"{blob}?comp=appendblock", text, {}) in MISSING:
            raise SinkFailed("there is no such container")

    async def _ask(
        self, url: str, content: bytes, headers: Mapping[str, str], also: frozenset[int] = MISSING
    ) -> int:
        """The status, when it is one we can go on from."""
        try:
            authorized = {"Authorization": f"Bearer {await self._access_token()}", "x-ms-version": VERSION}
            async with self._http.request(
                "PUT",
                url,
                headers={**authorized, **headers},
                data=content,
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
                allow_redirects=False,
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError) as exc:
            raise SinkFailed(type(exc).__name__) from exc
        if status != CREATED and status not in also:
            raise SinkFailed(f"HTTP {status}")
        return status

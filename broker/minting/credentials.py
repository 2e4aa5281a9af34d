"""What we prove to Azure that we may mint: a key, or an Entra access token that is always at hand.

Source of the scopes and of the hanging endpoint: Azure's realtime page of 2026-09-01, azure-identity 1.27.0
(both checked 2026-11-20).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from azure.core.exceptions import AzureError
from pydantic import SecretStr
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from broker.minting.outcomes import MintFailed, Verdict

SCOPES = ("https://ai.azure.com/.default", "https://cognitiveservices.azure.com/.default")
TOKEN_S = 2.5  # the endpoint of a misconfigured identity accepts the connection and never answers
SPARE_S = 60.0  # a token this close to its end is not used any more
SOONEST_REFRESH_S = 5.0

log = structlog.get_logger(__name__)


class Credential(Protocol):
    """Proof for one domain."""

    @property
    def name(self) -> str: ...

    def headers(self) -> dict[str, str]:
        """The headers that prove it, ready to send; never waits. Raises `MintFailed` (not ready)."""
        ...

    def audience_refused(self) -> None:
        """Azure said that the access token was made for somebody else."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the Azure resource, in the header that both Azure's documentation and its SDKs use."""

    key: SecretStr
    name: str = "key"

    def headers(self) -> dict[str, str]:
        return {"api-key": self.key.get_secret_value()}

    def audience_refused(self) -> None:
        """A key has no audience."""


class AccessToken(Protocol):
    """What azure-core gives: the token, and when it ends (Unix seconds)."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class TokenSource(Protocol):
    """A credential of azure.identity.aio."""

    async def get_token(self, *scopes: str) -> AccessToken: ...


class Identity:
    """An Entra identity. `keep_fresh` runs in the background; a mint only reads what is there.

    ``scope`` is tried first; the other known one once, when Azure refuses the audience.
    """

    name = "identity"

    def __init__(
        self, source: TokenSource, *, scope: str = SCOPES[0], now: Callable[[], float] = time.time
    ) -> None:
        self._source = source
        self._now = now
        self._scopes = [scope, *(other for other in SCOPES if other != scope)]
        self._token: AccessToken | None = None
        self._wanted = asyncio.Event()

    def headers(self) -> dict[str, str]:
        if self._token is None or self._token.expires_on - SPARE_S <= self._now():
            raise MintFailed(Verdict.NOT_READY)
        return {"Authorization": f"Bearer {self._token.token}"}

    def audience_refused(self) -> None:
        if len(self._scopes) > 1:
            self._scopes.pop(0)
            self._token = None
            self._wanted.set()

    async def keep_fresh(self) -> None:
        """Runs for ever: a new token at half of the old one's life, at once when another scope is wanted."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((AzureError, TimeoutError)),
            wait=wait_random_exponential(multiplier=1.0, max=60.0),
        )
        while True:
            self._wanted.clear()
            await retrying.copy()(self._fetch)
            await self._until_half_its_life()

    async def _fetch(self) -> None:
        scope = self._scopes[0]
        try:
            async with asyncio.timeout(TOKEN_S):
                self._token = await self._source.get_token(scope)
        except (AzureError, TimeoutError) as exc:
            log.warning("identity.unavailable", error=type(exc).__name__)
            raise

    async def _until_half_its_life(self) -> None:
        left_s = 0.0 if self._token is None else self._token.expires_on - self._now()
        pause_s = max(SOONEST_REFRESH_S, left_s / 2 * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
        try:
            async with asyncio.timeout(pause_s):
                await self._wanted.wait()
        except TimeoutError:
            return

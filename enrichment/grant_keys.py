"""The broker's public keys, fetched when a grant names one we do not have, and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.edge.grants import BadGrant, Grant, UnknownKey, keys_of, read_grant

FETCH_S = 2.0
PAUSE_S = 10.0  # between two fetches: made-up key ids must not make us ask the broker all the time
PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """The grant may be good; the keys to check it could not be fetched just now."""


class Grants:
    """Checks grants with keys from ``jwks_url``; without a URL no grant is good."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        jwks_url: str | None,
        *,
        environment: str,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = jwks_url
        self._environment = environment
        self._now = now
        self._monotonic = monotonic
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetching = asyncio.Lock()
        self._asked_at: float | None = None
        self._reachable = True

    async def read(self, compact: str) -> Grant:
        """Raises `BadGrant`, or `KeysUnavailable` when the broker cannot be asked for its keys."""
        try:
            return self._read(compact)
        except UnknownKey as exc:
            await self._fetch(exc.kid)
        try:
            return self._read(compact)
        except UnknownKey as exc:
            if not self._reachable:
                raise KeysUnavailable from exc
            raise BadGrant("the grant is signed with a key that is not ours") from exc

    def _read(self, compact: str) -> Grant:
        return read_grant(compact, self._keys, environment=self._environment, now=self._now)

    async def _fetch(self, kid: str) -> None:
        """Ask the broker once for all who wait, and not again within the pause."""
        async with self._fetching:
            if self._url is None or kid in self._keys or self._is_pausing():
                return
            try:
                async with asyncio.timeout(FETCH_S):
                    response = await self._http.get(self._url)
                response.raise_for_status()
                self._keys = keys_of(response.json())
                self._reachable = True
            except (TimeoutError, httpx.HTTPError, ValueError) as exc:
                self._reachable = False
                log.warning("keys.unreadable", error=type(exc).__name__)
            self._asked_at = self._monotonic()

    def _is_pausing(self) -> bool:
        if self._asked_at is None:
            return False
        pause_s = PAUSE_S if self._reachable else PAUSE_AFTER_FAILURE_S
        return self._monotonic() - self._asked_at < pause_s

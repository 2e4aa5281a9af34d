"""The broker's public keys, fetched when a grant names one we do not have, and kept."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.edge.grants import BadGrant, Grant, UnknownKey, keys_of, read_grant

FETCH_S = 2.0
PAUSE_S = 10.0  # between two fetches: made-up key ids must not make us ask the broker all the time
PAUSE_AFTER_FAILURE_S = 1.0
SOONEST_RETRY_S = 1.0
MOST_PROVED = 5_000  # grants of 600 bytes
MOST_SEEN = 1_000  # key ids we do not know and remember to have seen
LONGEST_KEY_ID = 64  # the broker's are SHA-256 in base64url: 43 characters

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """The grant may be good; the keys to check it cannot be fetched before ``retry_after_s``."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the keys to check the grant are not here yet")
        self.retry_after_s = max(SOONEST_RETRY_S, retry_after_s)


class Grants:
    """Checks grants with keys from ``jwks_url``; without a URL no grant is good.

    An unknown key id may be made up, or the newest key of a broker that just restarted. Only a fetch made
    after the id was first seen tells which; until there is one the bearer has to wait.
    """

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
        self._proved: OrderedDict[str, Grant] = OrderedDict()
        self._fetching = asyncio.Lock()
        self._begun = 0  # fetches, counted from 1
        self._answered = 0  # the last one that brought keys
        self._quiet_until: float | None = None
        self._seen: dict[str, int] = {}  # unknown key id -> fetches begun when it was first seen

    async def read(self, compact: str) -> Grant:
        """Raises `BadGrant`, or `KeysUnavailable` when the key may be one that we cannot fetch just now."""
        try:
            return self._read(compact)
        except UnknownKey as exc:
            if self._url is None or len(exc.kid) > LONGEST_KEY_ID:
                raise _not_ours() from exc
            self._remember(exc.kid)
            await self._fetch(self._url, exc.kid)
        try:
            return self._read(compact)
        except UnknownKey as exc:
            if self._answered > self._seen.get(exc.kid, self._begun):
                raise _not_ours() from exc
            raise KeysUnavailable(self._pause_s()) from exc

    def _read(self, compact: str) -> Grant:
        """A page sends one grant with every post: its signature is checked once, its time always."""
        grant = self._proved.get(compact)
        if grant is not None and grant.expires_at > self._now():
            return grant
        grant = read_grant(compact, self._keys, environment=self._environment, now=self._now)
        self._proved[compact] = grant
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)
        return grant

    def _remember(self, kid: str) -> None:
        """Since which fetch ``kid`` is known to be unknown. Made-up ids push each other out, oldest first."""
        self._seen.setdefault(kid, self._begun)
        if len(self._seen) > MOST_SEEN:
            del self._seen[next(iter(self._seen))]

    async def _fetch(self, url: str, kid: str) -> None:
        """Ask the broker once for all who wait, and not again within the pause."""
        async with self._fetching:
            if kid in self._keys or self._pause_s() > 0:
                return
            self._begun += 1
            pause_s = PAUSE_AFTER_FAILURE_S
            try:
                async with asyncio.timeout(FETCH_S):
                    response = await self._http.get(url)
                response.raise_for_status()
                self._keys = keys_of(response.json())
                self._proved.clear()  # a key that is gone proves nothing any more
                self._answered, pause_s = self._begun, PAUSE_S
            except (TimeoutError, httpx.HTTPError, ValueError) as exc:
                log.warning("keys.unreadable", error=type(exc).__name__)
            finally:
                self._quiet_until = self._monotonic() + pause_s

    def _pause_s(self) -> float:
        """How long not to ask; 0 when we may."""
        return 0.0 if self._quiet_until is None else max(0.0, self._quiet_until - self._monotonic())


def _not_ours() -> BadGrant:
    return BadGrant("the grant is signed with a key that is not ours")

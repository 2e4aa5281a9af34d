"""Checking grants with the broker's public keys."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.edge.grants import BadGrant, Grant, UnknownKey, keys_of, read_grant
from broker.edge.jwks import REFRESH_S, KeySet, NoSuchKey, Pace
from enrichment.fetching import fetch_key_set

PAUSE_S = 10.0  # a broker that was restarted without a lasting key has a new one at once
PAUSE_AFTER_FAILURE_S = 1.0
MOST_PROVED = 5_000  # grants of 600 bytes


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
        self._keys = _keys_at(http, jwks_url, monotonic) if jwks_url else None
        self._environment = environment
        self._now = now
        self._proved: OrderedDict[str, Grant] = OrderedDict()
        self._proved_with = 0  # the fetch that brought the keys

    async def read(self, compact: str) -> Grant:
        """Raises `BadGrant`, or `KeysUnavailable` when the key may be one that we cannot fetch just now."""
        try:
            return self._read(compact)
        except UnknownKey as exc:
            if self._keys is None:
                raise _not_ours() from exc
            kid = exc.kid
        try:
            await self._keys.find(kid)
            return self._read(compact)
        except (NoSuchKey, UnknownKey) as exc:
            raise _not_ours() from exc

    async def keep_fresh(self) -> None:
        """Never ends: a key that the broker took back is forgotten within an hour, also when no grant of a
        new key comes. The first fetch is the first grant's."""
        if self._keys is not None:
            await self._keys.keep_fresh(begins_in_s=REFRESH_S)

    def _read(self, compact: str) -> Grant:
        """A page sends one grant with every post: its signature is checked once, its time always."""
        self._forget_what_older_keys_proved()
        grant = self._proved.get(compact)
        if grant is not None and grant.expires_at > self._now():
            return grant
        keys = self._keys.current if self._keys else {}
        grant = read_grant(compact, keys, environment=self._environment, now=self._now)
        self._proved[compact] = grant
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)
        return grant

    def _forget_what_older_keys_proved(self) -> None:
        """A key that is gone proves nothing any more."""
        if self._keys and self._keys.answered != self._proved_with:
            self._proved.clear()
            self._proved_with = self._keys.answered


def _keys_at(http: httpx.AsyncClient, url: str, monotonic: Callable[[], float]) -> KeySet[Ed25519PublicKey]:
    pace = Pace(PAUSE_S, PAUSE_AFTER_FAILURE_S)
    return KeySet("broker", partial(fetch_key_set, http, url), keys_of, pace, monotonic=monotonic)


def _not_ours() -> BadGrant:
    return BadGrant("the grant is signed with a key that is not ours")

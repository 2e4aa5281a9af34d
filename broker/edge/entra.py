"""Entra ID as it issues access tokens: what it calls itself for each tenant, and where its keys are.

A token of version 1 is for the address of an app (``api://…``), one of version 2 for its client id; the
manifest of the app says which it gets (``requestedAccessTokenVersion``). Each is proved with the keys of its
own tenant and version.

Sources, checked 2026-11-20: https://learn.microsoft.com/entra/identity-platform/access-tokens (issuers, key
sets, what ``issuer`` of a key means), https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
(a key may be replaced at any time).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from broker.edge.access_tokens import AccessTokens, Issuer
from broker.edge.jwks import KeySet, Pace

AUTHORITY = "https://login.microsoftonline.com"
KEYS = {"1.0": "/discovery/keys", "2.0": "/discovery/v2.0/keys"}  # of a tenant, by version
SCOPE = "user_impersonation"
PACE = Pace(pause_s=60, pause_after_failure_s=60, stale_s=24 * 3600)
SMALLEST_KEY_BITS = 2048

FetchFrom = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Registration:
    """What was registered in Entra ID for a deployment: whose people are let in, and what their tokens say.

    ``tenants`` are ids in lower case; ``authority`` is where keys are fetched, another one for a simulator.
    """

    tenants: frozenset[str]
    audiences: frozenset[str]
    scope: str = SCOPE
    authority: str = AUTHORITY


class Entra:
    """The way in for access tokens, and the keys they are proved with. ``fetch`` gets a key set's address and
    gives it as it is sent, or raises `NotFetched`."""

    def __init__(
        self,
        registration: Registration,
        fetch: FetchFrom,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = [*issuers_of(registration, fetch, monotonic)]
        self.tokens = AccessTokens(self._issuers, scope=registration.scope, now=now, monotonic=monotonic)

    async def keep_fresh(self) -> None:
        """Never ends: keeps every key set fresh."""
        await asyncio.gather(*(issuer.keys.keep_fresh() for issuer in self._issuers))


def issuers_of(
    registration: Registration, fetch: FetchFrom, monotonic: Callable[[], float]
) -> Iterator[Issuer]:
    """One for each tenant and each version that an audience is of."""
    for_address = frozenset(each for each in registration.audiences if each.startswith("api://"))
    for tenant in sorted(registration.tenants):
        for version, audiences in (("1.0", for_address), ("2.0", registration.audiences - for_address)):
            if audiences:
                address = f"{registration.authority}/{tenant}{KEYS[version]}"
                read = partial(keys_of, tenant=tenant)
                keys = KeySet("entra", partial(fetch, address), read, PACE, monotonic=monotonic)
                yield Issuer(issuer_url(tenant, version), tenant, version, audiences, keys)


def issuer_url(tenant: str, version: str) -> str:
    """What tokens of that tenant and version (``1.0`` or ``2.0``) call their issuer, exactly."""
    return f"https://sts.windows.net/{tenant}/" if version == "1.0" else f"{AUTHORITY}/{tenant}/v2.0"


def keys_of(jwks: Any, *, tenant: str) -> dict[str, RSAPublicKey]:
    """``kid`` -> key for every RSA key of a set that signs for ``tenant``. ValueError when there is none."""
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    named = [(each.get("kid"), _key(each)) for each in entries if _signs_for(each, tenant)]
    keys = {kid: key for kid, key in named if isinstance(kid, str) and key is not None}
    if not keys:
        raise ValueError("not a JSON Web Key Set with a key that signs")
    return keys


def _signs_for(entry: dict[str, Any], tenant: str) -> bool:
    """Some keys sign for one tenant only, such as that of personal accounts, wherever they are listed."""
    issuer = entry.get("issuer")
    ours = {issuer_url(tenant, version) for version in KEYS}
    return (
        entry.get("kty") == "RSA"
        and entry.get("use", "sig") == "sig"
        and (issuer is None or str(issuer).replace("{tenantid}", tenant) in ours)
    )


def _key(entry: dict[str, Any]) -> RSAPublicKey | None:
    """None for what is no public key, or too small a one: the others of the set still count."""
    try:
        key = RSAAlgorithm.from_jwk(entry)
    except (jwt.InvalidKeyError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= SMALLEST_KEY_BITS else None

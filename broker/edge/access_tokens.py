"""Access tokens of Entra ID: whether one is meant for us, proved, in its time, and who it says is asking.

PyJWT gets a key object and one algorithm, never a key or an algorithm that the token names; a header that
points at keys of its own is refused before anything is fetched. Where a token comes from is read before it
is proved, only to know whose keys and which audience to prove it with.

Sources, checked 2026-11-20:
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference (which claims there are)
https://learn.microsoft.com/entra/identity-platform/access-tokens (what to validate)
https://www.rfc-editor.org/rfc/rfc8725 (what goes wrong with JWTs)
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.requests import Request

from broker.edge.callers import DEVELOPMENT_PREFIX, Caller, Proof, bearer
from broker.edge.compact import unproved_claims, unproved_header
from broker.edge.ids import GUID
from broker.edge.jwks import KeySet, KeysUnavailable, NoSuchKey
from broker.edge.problems import NotAllowed, NotSignedIn, RolesNotInToken, SignInUnverifiable

ALGORITHM = "RS256"
TYPES = frozenset({"jwt", "at+jwt"})  # Entra says JWT, RFC 9068 at+jwt; our grants say neither
BRING_THEIR_OWN_KEY = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
REQUIRED = ["iss", "aud", "exp", "nbf", "iat", "tid", "oid", "ver"]
CLIENT = MappingProxyType({"1.0": "appid", "2.0": "azp"})  # an ID token has neither, and may have roles too
CLOCK_LEEWAY_S = 60
LATEST = 2**53  # what JSON numbers are exact to, in seconds
LONGEST_TOKEN = 16 * 1024
PROVED_S = 60.0
MOST_PROVED = 10_000

# What an app role is called, in our own spelling and in Entra's short one -> what it may do here. Who has
# several is the first of them.
ROLES = MappingProxyType(
    {
        "engram.admin": "admin",
        "Admin": "admin",
        "engram.analyst": "analyst",
        "Analyst": "analyst",
        "engram.pm": "pm",
        "PM": "pm",
        "engram.user": "user",
        "User": "user",
        "engram.viewer": "viewer",
        "Viewer": "viewer",
    }
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One tenant's tokens of one version: what they call their issuer, for whom they may be, whose keys."""

    url: str
    tenant: str
    version: str
    audiences: frozenset[str]
    keys: KeySet[RSAPublicKey]


class AccessTokens:
    """``Authorization: Bearer`` with an access token of one of the issuers. ``now`` gives Unix seconds.

    A person is ``tid:oid``: an address or a name can be given to somebody else. What was proved is believed
    for a minute, by the token's SHA-256: measured, 4 µs of CPU a request instead of 106.
    """

    wants = "an access token of Entra ID"

    def __init__(
        self,
        issuers: Sequence[Issuer],
        *,
        scope: str,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._scope = scope
        self._now = now
        self._monotonic = monotonic
        self._proved: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def identify(self, request: Request[Any]) -> Caller | None:
        compact = bearer(request)
        if compact is None or compact.count(".") != 2 or compact.startswith(DEVELOPMENT_PREFIX):
            return None
        return await self.read(compact)

    async def read(self, compact: str) -> Caller:
        """Raises `NotSignedIn`, `NotAllowed`, `RolesNotInToken`; `SignInUnverifiable` without its key."""
        digest = hashlib.sha256(compact.encode()).digest()
        caller, until = self._proved.get(digest, (None, 0.0))
        if caller is not None and self._monotonic() < until:
            return caller
        claims = await self._prove(compact)
        check_times(claims, self._now())
        caller = caller_of(claims, self._scope)
        self._keep(digest, caller, claims["exp"])
        return caller

    async def _prove(self, compact: str) -> dict[str, Any]:
        kid = key_id_of(compact)
        issuer = self._issuers.get(_issuer_url(compact))
        if issuer is None:
            raise NotSignedIn("the access token comes from a tenant that is not let in here")
        try:
            return proved(compact, await issuer.keys.find(kid), issuer)
        except NoSuchKey as exc:
            raise NotSignedIn("the access token is signed with a key that is not its tenant's") from exc
        except KeysUnavailable as exc:
            raise SignInUnverifiable(exc.retry_after_s) from exc

    def _keep(self, digest: bytes, caller: Caller, expires_at: int) -> None:
        believed_s = min(PROVED_S, expires_at - self._now())
        if believed_s <= 0:  # within the leeway: proved each time
            return
        self._proved.pop(digest, None)
        self._proved[digest] = (caller, self._monotonic() + believed_s)
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)


def key_id_of(compact: str) -> str:
    """Which key the header names, once nothing else in it is wrong. Raises `NotSignedIn`."""
    if len(compact) > LONGEST_TOKEN:
        raise _no_token()
    try:
        header = unproved_header(compact)
    except ValueError as exc:
        raise _no_token() from exc
    kid = header.get("kid")
    is_ours = header.get("alg") == ALGORITHM and str(header.get("typ")).lower() in TYPES
    if not is_ours or not isinstance(kid, str) or not BRING_THEIR_OWN_KEY.isdisjoint(header):
        raise _no_token()
    return kid


def proved(compact: str, key: RSAPublicKey, issuer: Issuer) -> dict[str, Any]:
    """What the token says, its times unchecked. Raises `NotSignedIn`."""
    try:
        claims = jwt.decode(
            compact,
            key,
            algorithms=[ALGORITHM],
            audience=issuer.audiences,
            issuer=issuer.url,
            # The times are checked against the clock we were given, which PyJWT cannot take.
            options={"require": REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidAudienceError as exc:
        raise NotSignedIn("the access token is for another service") from exc
    except jwt.InvalidTokenError as exc:
        raise NotSignedIn("the access token does not hold") from exc
    _check_kinds(claims, issuer)
    return claims


def check_times(claims: Mapping[str, Any], now_s: float) -> None:
    """Raises `NotSignedIn` outside of the token's time, which is a minute longer at both ends."""
    if claims["exp"] <= now_s - CLOCK_LEEWAY_S:
        raise NotSignedIn("the access token has expired")
    if max(claims["nbf"], claims["iat"]) > now_s + CLOCK_LEEWAY_S:
        raise NotSignedIn("the access token is not valid yet")


def caller_of(claims: Mapping[str, Any], scope: str) -> Caller:
    """Who proved claims say is asking. Raises `NotSignedIn`, `NotAllowed` or `RolesNotInToken`."""
    scopes, given = claims.get("scp"), claims.get("roles")
    if not isinstance(scopes, str) and not isinstance(given, list):
        raise NotSignedIn("the access token has neither a scope nor a role")
    if isinstance(scopes, str) and scope not in scopes.split():
        raise NotAllowed(f"the access token lacks the scope {scope}")
    role = _role_of(given if isinstance(given, list) else [])
    if role is not None:
        proof = Proof.ENTRA if isinstance(scopes, str) else Proof.SERVICE_PRINCIPAL  # which asks for no scope
        return Caller(f"{claims['tid']}:{claims['oid']}".lower(), role, proof)
    if "_claim_names" in claims or "hasgroups" in claims:
        raise RolesNotInToken
    raise NotAllowed("nobody gave you a role in this app")


def _role_of(given: Sequence[object]) -> str | None:
    return next((role for name, role in ROLES.items() if name in given), None)


def _check_kinds(claims: Mapping[str, Any], issuer: Issuer) -> None:
    ids = [claims["tid"], claims["oid"], claims.get(CLIENT[issuer.version])]
    is_whole = (
        all(type(claims[name]) is int and 0 < claims[name] < LATEST for name in ("exp", "nbf", "iat"))
        and all(isinstance(name, str) and re.fullmatch(GUID, name.lower()) for name in ids)
        and isinstance(claims["aud"], str)
        and claims["tid"].lower() == issuer.tenant
        and claims["ver"] == issuer.version
    )
    if not is_whole:
        raise _no_token()


def _issuer_url(compact: str) -> str:
    try:
        return str(unproved_claims(compact).get("iss"))
    except ValueError as exc:
        raise _no_token() from exc


def _no_token() -> NotSignedIn:
    return NotSignedIn("this is not an access token of Entra ID for a service like this")

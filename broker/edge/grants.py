"""The grant: our signed proof that its bearer may add turns to one session of one person.

A JWT signed with Ed25519. The broker holds the private key; enrichment has public keys only, so it can
check a grant and never make one. The grant travels in a body, because a beacon cannot set a header.

Sources: https://www.rfc-editor.org/rfc/rfc8037 (Ed25519 in JOSE), /rfc7638 (thumbprint as ``kid``),
/rfc8725 (explicit ``typ`` against token confusion); checked 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic_core import to_json

from broker.edge.compact import from_base64url, unproved_header

TYPE = "enrich+jwt"
ALGORITHM = "EdDSA"
ISSUER = "voicelive-broker"
LIFETIME_S = 7200  # turns may arrive late: a reloaded tab, a network that comes back
CLOCK_LEEWAY_S = 60
MOST_OTHERS = 2  # the next key and the last one
PEM_LABEL = re.compile(r"-----BEGIN ([^-]+)-----")
PEM_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----")
REQUIRED = ["iss", "aud", "sub", "sid", "agt", "iat", "nbf", "exp", "jti"]


class BadGrant(Exception):
    """Not a grant of ours, or no longer one."""


class UnknownKey(Exception):
    """Signed, it says, with a key we do not have (yet)."""

    def __init__(self, kid: str) -> None:
        super().__init__("signed with a key that is not known here")
        self.kid = kid


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid grant says. Times are Unix seconds."""

    person: str
    session_id: str
    agent_id: str
    issued_at: int
    expires_at: int


class GrantSigner:
    """Makes grants for one environment."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        *,
        environment: str,
        others: Iterable[Ed25519PublicKey] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """``others`` are published beside the own key: the next one, and the last one."""
        self._key = key
        self._environment = environment
        self._now = now
        self._public = public_jwk(key.public_key())
        self._others = [public_jwk(other) for other in others]
        self._header = _part({"typ": TYPE, "alg": ALGORITHM, "kid": self._public["kid"]})

    def sign(self, *, person: str, session_id: str, agent_id: str) -> tuple[str, int]:
        """The grant as compact JWT, and when it expires (Unix seconds)."""
        issued_at = int(self._now())
        expires_at = issued_at + LIFETIME_S
        claims = {
            "iss": ISSUER,
            "aud": audience(self._environment),
            "sub": person,
            "sid": session_id,
            "agt": agent_id,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": expires_at,
            "jti": secrets.token_hex(16),
        }
        signed = f"{self._header}.{_part(claims)}"
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}", expires_at

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public half, and the others, as a JSON Web Key Set."""
        return {"keys": [self._public, *(key for key in self._others if key != self._public)]}


def read_grant(
    compact: str,
    keys: Mapping[str, Ed25519PublicKey],
    *,
    environment: str,
    now: Callable[[], float] = time.time,
) -> Grant:
    """What the grant says, once everything about it is proved.

    Raises `UnknownKey` when it names a key that is not in ``keys``, else `BadGrant` with the reason.
    """
    key = keys.get(kid := _key_id(compact))
    if key is None:
        raise UnknownKey(kid)
    try:
        claims = jwt.decode(
            compact,
            key,
            algorithms=[ALGORITHM],
            audience=audience(environment),
            issuer=ISSUER,
            leeway=CLOCK_LEEWAY_S,
            # The times are checked below against the clock we were given, which PyJWT cannot take.
            options={"require": REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as exc:
        raise BadGrant("the grant does not hold") from exc
    return _within_its_time(claims, now())


def _part(content: dict[str, Any]) -> str:
    """A header or claims in the compact form of https://www.rfc-editor.org/rfc/rfc7515 (checked 2026-11-20).

    Ours are of fixed names and kinds; PyJWT, which proves what comes back, takes as long again as the
    signature to write them.
    """
    return _base64url(to_json(content))


def audience(environment: str) -> str:
    return f"enrich:{environment}"


def is_grant(compact: str) -> bool:
    """Whether it says of itself that it is a grant, which proves nothing."""
    try:
        return unproved_header(compact).get("typ") == TYPE
    except ValueError:
        return False


def _key_id(compact: str) -> str:
    """Which key the header names."""
    try:
        header = unproved_header(compact)
    except ValueError as exc:
        raise BadGrant("not a grant") from exc
    if header.get("typ") != TYPE or not isinstance(header.get("kid"), str):
        raise BadGrant("not a grant")
    return str(header["kid"])


def _within_its_time(claims: dict[str, Any], now_s: float) -> Grant:
    times = [claims["nbf"], claims["iat"], claims["exp"]]
    names = [claims["sub"], claims["sid"], claims["agt"]]
    if not all(type(at) is int for at in times) or not all(type(name) is str for name in names):
        raise BadGrant("not a grant")
    not_before, issued_at, expires_at = times
    if expires_at <= now_s - CLOCK_LEEWAY_S:
        raise BadGrant("the grant has expired")
    if max(not_before, issued_at) > now_s + CLOCK_LEEWAY_S or expires_at - issued_at > LIFETIME_S:
        raise BadGrant("the grant's times are not ours")
    return Grant(claims["sub"], claims["sid"], claims["agt"], issued_at, expires_at)


def load_signing_key(pem: str | None) -> Ed25519PrivateKey:
    """The key from PEM text, or a new one. Raises ValueError when the text is another kind of key."""
    if pem is None:
        return Ed25519PrivateKey.generate()
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("must be an Ed25519 private key in PEM")  # noqa: TRY004 - a bad setting is a bad value
    return key


def load_public_keys(pem: str) -> list[Ed25519PublicKey]:
    """Every key of the PEM text, at most `MOST_OTHERS`. ValueError when one is another kind, or private."""
    if set(PEM_LABEL.findall(pem)) != {"PUBLIC KEY"}:
        raise ValueError("must be Ed25519 public keys in PEM, one after the other")
    keys = [load_pem_public_key(block.encode()) for block in PEM_BLOCK.findall(pem)]
    ours = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not ours or len(ours) < len(keys) or len(ours) > MOST_OTHERS:
        raise ValueError(f"must be 1 to {MOST_OTHERS} Ed25519 public keys in PEM")
    return ours


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    x = _base64url(key.public_bytes_raw())
    thumbprint = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":")).encode()
    kid = _base64url(hashlib.sha256(thumbprint).digest())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": ALGORITHM}


def keys_of(jwks: dict[str, Any]) -> dict[str, Ed25519PublicKey]:
    """``kid`` -> key for every Ed25519 key of a set; others are passed over. ValueError when it is no set."""
    try:
        ours = [key for key in jwks["keys"] if (key["kty"], key.get("crv")) == ("OKP", "Ed25519")]
        return {key["kid"]: Ed25519PublicKey.from_public_bytes(from_base64url(key["x"])) for key in ours}
    except (KeyError, TypeError) as exc:
        raise ValueError("not a JSON Web Key Set") from exc


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

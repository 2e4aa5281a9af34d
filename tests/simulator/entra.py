"""Entra ID for one tenant: its signing keys, its tokens, and how both change and fail.

In a test's process: `Entra` makes tokens, and `Entra.fetch` stands in for the network. Over a socket:
``python -m tests.simulator.entra`` answers at a tenant's real paths, for brokers with ``ENTRA_AUTHORITY``.
Tokens look as https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference shows them,
key sets as https://learn.microsoft.com/entra/identity-platform/access-tokens (both checked 2026-11-20).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.edge.jwks import NotFetched

TENANT = "7a1f0c1e-0000-4000-8000-0000000000a1"
CLIENT_ID = "c11e0000-0000-4000-8000-00000000000b"
ADDRESS = "api://engram-simulated"
PAGE = "5ba00000-0000-4000-8000-0000000000c1"
ALICE = "a11ce000-0000-4000-8000-000000000001"
LIFE_S = 4_500  # 60 to 90 minutes, 75 on average
V2 = "https://login.microsoftonline.com/{tenant}/v2.0"


@cache
def key_pair(number: int) -> RSAPrivateKey:
    """The n-th pair of this process: one costs 0.1 s, and tests need a few."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def key_id(key: RSAPrivateKey) -> str:
    """As long as Entra's, a SHA-1 in base64url."""
    digest = hashlib.sha1(str(key.public_key().public_numbers().n).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def as_jwk(key: RSAPrivateKey, *, issuer: str = V2.replace("{tenant}", "{tenantid}")) -> dict[str, Any]:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {
        "kty": "RSA",
        "use": "sig",
        "kid": key_id(key),
        "x5t": key_id(key),
        "n": public["n"],
        "e": public["e"],
        "issuer": issuer,
    }


class Entra:
    """One tenant. ``now`` gives Unix seconds. ``keys`` are the published ones, the last one signs.

    ``is_down`` is an outage of the key sets alone: who has a token keeps it. ``fetched_at`` tells at which
    time of ``now`` each key set was asked for, also in an outage; a fetch in this process takes ``takes_s``.
    """

    def __init__(self, now: Callable[[], float] = time.time, *, tenant: str = TENANT) -> None:
        self._now = now
        self.tenant = tenant
        self.keys = [key_pair(0)]
        self.is_down = False
        self.takes_s = 0.0
        self.fetched_at: list[float] = []

    def roll_over(self) -> None:
        """A new key signs from now on and is published at once: an emergency. Usually Entra gives notice."""
        self.keys.append(key_pair(len(self.keys)))

    def retire(self) -> None:
        """The oldest key is gone."""
        del self.keys[0]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Of a person who signed in to the page; None leaves a claim out."""
        now_s = int(self._now())
        usual = {
            "aud": CLIENT_ID,
            "iss": V2.format(tenant=self.tenant),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + LIFE_S,
            "azp": PAGE,
            "azpacr": "0",
            "oid": ALICE,
            "preferred_username": "alice@example.org",
            "roles": ["engram.user"],
            "scp": "user_impersonation",
            "sub": "pairwise-of-alice",
            "tid": self.tenant,
            "ver": "2.0",
        }
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def claims_v1(self, **changed: Any) -> dict[str, Any]:
        return self.claims(
            **{
                "aud": ADDRESS,
                "iss": f"https://sts.windows.net/{self.tenant}/",
                "azp": None,
                "azpacr": None,
                "appid": PAGE,
                "appidacr": "0",
                "ver": "1.0",
            }
            | changed
        )

    def app_claims(self, oid: str = "5e000000-0000-4000-8000-00000000000a", **changed: Any) -> dict[str, Any]:
        """Of a service principal: no scope, roles that were consented to."""
        return self.claims(
            **{"scp": None, "preferred_username": None, "oid": oid, "sub": oid, "idtyp": "app"} | changed
        )

    def token(self, **changed: Any) -> str:
        return self.sign(self.claims(**changed))

    def sign(self, claims: dict[str, Any], key: RSAPrivateKey | None = None, **header: Any) -> str:
        """Signed by the newest key, or by ``key``; ``header`` adds to the header, and None takes away."""
        signing = key or self.keys[-1]
        usual = {"typ": "JWT", "kid": key_id(signing)}
        signs = jwt.PyJWS()  # it signs also what `jwt.encode` would not
        return signs.encode(json.dumps(claims).encode(), signing, "RS256", headers=usual | header)

    def key_set(self) -> dict[str, Any]:
        return {"keys": [as_jwk(key) for key in self.keys]}

    async def fetch(self, url: str) -> bytes:
        """What a service's own client would bring from this tenant's address."""
        self.fetched_at.append(self._now())
        await asyncio.sleep(self.takes_s)
        if self.is_down or f"/{self.tenant}/" not in url:
            raise NotFetched
        return json.dumps(self.key_set()).encode()


def create_app(entra: Entra, *, roles: list[str]) -> Starlette:
    """The tenant over HTTP: key sets, OpenID configuration, and tokens for service principals."""

    async def key_set(_request: Request) -> Response:
        entra.fetched_at.append(time.time())
        return Response(status_code=503) if entra.is_down else JSONResponse(entra.key_set())

    async def configuration(request: Request) -> Response:
        tenant = f"{request.base_url}{entra.tenant}"
        return JSONResponse(
            {
                "issuer": V2.format(tenant=entra.tenant),
                "jwks_uri": f"{tenant}/discovery/v2.0/keys",
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def token(request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if asked.get("grant_type") != "client_credentials" or not asked.get("client_secret"):
            return JSONResponse({"error": "invalid_request"}, 400)
        claims = entra.app_claims(azp=asked.get("client_id"), roles=roles)
        answer = {"token_type": "Bearer", "expires_in": LIFE_S, "access_token": entra.sign(claims)}
        return JSONResponse(answer)

    tenant = f"/{entra.tenant}"
    return Starlette(
        routes=[
            Route(f"{tenant}/discovery/v2.0/keys", key_set),
            Route(f"{tenant}/discovery/keys", key_set),
            Route(f"{tenant}/v2.0/.well-known/openid-configuration", configuration),
            Route(f"{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.entra", description=__doc__)
    parser.add_argument("--port", type=int, default=8792)
    parser.add_argument("--role", action="append", help="an app role of every service principal; repeatable")
    args = parser.parse_args()
    here, entra = f"http://127.0.0.1:{args.port}", Entra()
    print(f"Simulated Entra ID: ENTRA_AUTHORITY={here} ENTRA_TENANTS='[\"{TENANT}\"]'")
    print(f"ENTRA_AUDIENCES='[\"{CLIENT_ID}\"]'; a token for an hour:\n{entra.token()}", flush=True)
    app = create_app(entra, roles=args.role or ["engram.user"])
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()

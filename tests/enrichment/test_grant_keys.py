"""The broker's public keys: fetched when needed, and no more often."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from tests.enrichment.service import (
    CLOCK,
    JWKS,
    grant,
    problem,
    said,
    service,
)


async def test_while_the_broker_cannot_be_asked_for_its_keys_the_page_is_told_to_wait(tmp_path, respx_mock):
    respx_mock.get(JWKS).respond(503)
    async with service(tmp_path, auth_required=True) as client:
        body = {"grant": grant(), "turns": [said("u1")]}
        answer = problem(await client.post("/memory/enrich", json=body), 503, "grant-unverifiable")
        assert answer["retryable"] is True


async def test_keys_are_fetched_once_for_many_grants(signed_in, keys):
    bodies = [{"grant": grant(session_id=f"s-{n}"), "turns": [said("u1")]} for n in range(20)]
    await asyncio.gather(*(signed_in.post("/memory/enrich", json=body) for body in bodies))
    assert keys.call_count == 1


async def test_made_up_key_ids_do_not_make_us_ask_the_broker_again_and_again(signed_in, keys):
    for _ in range(20):
        stranger = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)
        body = {"grant": grant(signer=stranger), "turns": [said("u1")]}
        problem(await signed_in.post("/memory/enrich", json=body), 401, "not-signed-in")
    assert keys.call_count == 1

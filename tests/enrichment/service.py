"""A running enrichment service, and what a page posts to it."""

from __future__ import annotations

from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from enrichment.app import create_app
from enrichment.memory.embedded import EmbeddedMemory
from tests.clocks import Clock
from tests.enrichment.build import settings
from tests.running import running
from tests.waiting import until

JWKS = "https://broker.example.org/.well-known/jwks.json"
CLOCK = Clock()
SIGNER = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)


def grant(person="alice", session_id="s-1", signer=SIGNER):
    return signer.sign(person=person, session_id=session_id, agent_id="elena")[0]


def said(turn_id, text="Hello", **more):
    return {"turn_id": turn_id, "speaker": "user", "text": text, "spoken_at": "2026-11-20T08:00:00Z"} | more


@asynccontextmanager
async def service(tmp_path, memory=None, **changed):
    """A running service with the given memory; the embedded one when none is given."""
    make = (lambda settings: memory) if memory else (lambda settings: EmbeddedMemory(settings.memory_path))
    app = create_app(settings(tmp_path, grant_jwks_url=JWKS, **changed), memory=make, now=CLOCK)
    async with running(app) as client:
        yield client


def as_person(name):
    return {"Authorization": f"Bearer dev_{name}_analyst"}


def as_bearer(credential):
    return {"Authorization": f"Bearer {credential}"}


async def transcript(client, session_id, headers=None):
    response = await client.get(f"/memory/episodes/{session_id}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["transcript"]


async def delivered(client, session_id, count, headers=None):
    """The transcript, once ``count`` turns of it are in memory."""

    async def complete():
        lines = await transcript(client, session_id, headers)
        return lines if sum(line["delivered"] for line in lines) == count else None

    return await until(complete)


def problem(response, status, name):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:voicelive:problem:{name}"
    return response.json()
